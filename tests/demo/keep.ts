/**
 * `make demo KEEP=1`: tells `tests/demo/play` where the hosts are.
 *
 * @module
 */

import type { Cluster } from "../support/cluster.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import { bold, dim } from "./terminal.ts";

/** One line per machine: name and the process that holds its namespaces. */
const PLAY_FILE = `${REPOSITORY}/dist/demo-hosts`;

/** Removes the file; harmless when there is none. */
export function forgetLab(): void {
  try {
    Deno.removeSync(PLAY_FILE);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Writes the file and returns what to do with it, for people. */
export function describeLab(cluster: Cluster): string {
  const { lab } = cluster;
  const lines = [
    `switch ${lab.ethernet.pid}`,
    ...[...lab.hosts].map(([name, host]) => `${name} ${host.pid}`),
  ];
  Deno.mkdirSync(`${REPOSITORY}/dist`, { recursive: true });
  Deno.writeTextFileSync(PLAY_FILE, lines.join("\n") + "\n");
  const commands: readonly (readonly [string, string])[] = [
    ["master relais status", "what the master says (also: slave)"],
    ["master relais switchover", "give the service to the slave"],
    ["slave relais failback", "and back"],
    ["pull master", "pull its cables (one: pull master voip)"],
    ["plug master", "plug them in again"],
    ["client ping 10.20.0.10", "the client's view"],
    ["slave", "a shell on the slave (also: master, client, gateway, watcher)"],
    ["master tail -f /var/log/relais.log", "what it decides, and why"],
  ];
  const play = commands.map(([command, what]) =>
    `   tests/demo/play ${command.padEnd(36)} ${dim(what)}`
  );
  return [
    `\n${bold("It goes on running. In another terminal, as root, in the repository:")}`,
    ...play,
    `   ${bold("Ctrl-C here ends and removes everything.")}`,
  ].join("\n");
}
