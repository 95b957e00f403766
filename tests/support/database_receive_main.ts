/**
 * Takes a set stream in on its standard input, restores and installs it, in a process of its own as on a
 * slave: prints a JSON line per phase and one with the result. Argument: JSON of
 * `{ config, self, workerEnv }`, where `self` is a list.
 *
 * @module
 */

import { systemClock } from "../../src/os/clock.ts";
import { PostgresDatabase } from "../../src/replication/database.ts";
import { readSetStream } from "../../src/replication/stream.ts";

const { config, self, workerEnv } = JSON.parse(Deno.args[0] ?? "");
const source = new PostgresDatabase(config, {
  self: (verb) => [...self, ...verb],
  workerEnv,
});
const say = (line: unknown): void => {
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(line) + "\n"));
};
const from = performance.now();
const incoming = await readSetStream(Deno.stdin.readable, { clock: systemClock });
let phase = "";
const { detail } = await source.install({
  payload: incoming.payload,
  whole: incoming.done,
  detail: incoming.header.detail,
  signal: new AbortController().signal,
  confirm: () => Promise.resolve(),
  onProgress: (progress) => {
    if (progress.phase === phase) return;
    phase = progress.phase;
    say({ phase, atMs: Math.round(performance.now() - from) });
  },
});
say({ detail, atMs: Math.round(performance.now() - from) });
