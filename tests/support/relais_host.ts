/**
 * One host of a cluster in the lab, with relais installed as it will be: program, configuration, key,
 * daemon; in the default places.
 *
 * @module
 */

import type { StateName } from "../../src/core/types.ts";
import { StatusDocument } from "../../src/health/types.ts";
import type { RunResult } from "../../src/os/process.ts";
import { getJson } from "./control_socket.ts";
import type { HostProcess } from "./host_process.ts";
import type { TestHost } from "./host.ts";
import { poll } from "./poll.ts";
import { REPOSITORY } from "./shown_paths.ts";

/** Where relais is called from inside hosts. */
export const RELAIS = "/usr/local/bin/relais";
export const CONFIG_FILE = "/etc/relais/relais.toml";
export const KEY_FILE = "/etc/relais/cluster.key";
const LOG_FILE = "/var/log/relais.log";
const CONTROL_SOCKET = "/run/relais/control.sock";

/** How the daemon is ended. */
export type StopKind =
  /** SIGTERM: an orderly leave. */
  | "leave"
  /** SIGUSR1: for a restart; VIPs and services stay for the next daemon. */
  | "restart"
  /** SIGKILL. */
  | "kill";

const SIGNALS: Readonly<Record<StopKind, Deno.Signal>> = {
  leave: "SIGTERM",
  restart: "SIGUSR1",
  kill: "SIGKILL",
};

/** True: run `src/main.ts` with deno; else `dist/relais`, what `make build` made. */
export function runsFromSource(): boolean {
  return Deno.env.get("RELAIS_FROM_SOURCE") === "1";
}

/** A host with relais. */
export class RelaisHost {
  #daemon: HostProcess | null = null;
  /** Further environment of the daemons that are started from now on. */
  environment: Readonly<Record<string, string>> = {};

  constructor(readonly host: TestHost) {}

  get name(): string {
    return this.host.name;
  }

  /** Puts the program in its place. Throws when it was not built. */
  async install(): Promise<void> {
    const binary = `${REPOSITORY}/dist/relais`;
    const words = runsFromSource()
      ? [Deno.execPath(), "run", "--quiet", "--no-check", "-A", `${REPOSITORY}/src/main.ts`]
      : [binary];
    if (!runsFromSource() && !this.host.exists(binary)) {
      throw new Error(`Cannot find ${binary} as relais was not built: run: make build`);
    }
    await this.host.writeFile(RELAIS, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`, 0o755);
  }

  /** The daemon process, while one runs. */
  get daemon(): HostProcess | null {
    return this.#daemon?.running === true ? this.#daemon : null;
  }

  /** Starts the daemon (it may take a moment until it answers: {@linkcode waitFor}). */
  start(options: readonly string[] = []): void {
    if (this.daemon !== null) throw new Error(`Cannot start relais on ${this.name} as it runs`);
    const env = this.environment;
    this.#daemon = this.host.spawn([RELAIS, "daemon", ...options], { logFile: LOG_FILE, env });
  }

  /** Ends the daemon; throws when an orderly end takes longer than `deadlineMs`. */
  async stop(kind: StopKind, deadlineMs = 60_000): Promise<void> {
    const daemon = this.daemon;
    if (daemon === null) return;
    await daemon.signal(SIGNALS[kind]);
    await daemon.ended(deadlineMs);
    this.#daemon = null;
  }

  /** Runs a verb, e.g. `relais switchover`, whatever its exit status. */
  async relais(verb: readonly string[], deadlineMs = 60_000): Promise<RunResult> {
    return await this.host.try([RELAIS, ...verb], { deadlineMs });
  }

  /** What the daemon says of itself; null while it says nothing. */
  async status(): Promise<StatusDocument | null> {
    if (!this.host.on) return null;
    const json = await getJson(this.host.root + CONTROL_SOCKET, "/status");
    return json === null ? null : StatusDocument.parse(json);
  }

  /** Waits until the daemon's status satisfies `look`, and returns it. */
  async waitFor(
    look: (status: StatusDocument) => boolean,
    options: { readonly deadlineMs: number; readonly what: string },
  ): Promise<StatusDocument> {
    return await poll(async () => {
      const status = await this.status();
      return status !== null && look(status) ? status : null;
    }, {
      deadlineMs: options.deadlineMs,
      everyMs: 25,
      what: `${options.what} on ${this.name}`,
      instead: async () => `${summary(await this.status())}\n${this.log(30)}`,
    });
  }

  /** Waits until the node is in a state. */
  async untilState(state: StateName, deadlineMs: number): Promise<StatusDocument> {
    return await this.waitFor(({ node }) => node.state === state, { deadlineMs, what: state });
  }

  /** Bytes of the daemon's log; null while the host is off. */
  logSize(): number | null {
    try {
      return Deno.statSync(this.host.root + LOG_FILE).size;
    } catch {
      return null; // off, or no daemon was ever started
    }
  }

  /** The daemon's log from a byte on; empty while the host is off. */
  logFrom(size: number): string {
    try {
      const bytes = Deno.readFileSync(this.host.root + LOG_FILE);
      return new TextDecoder().decode(bytes.subarray(size));
    } catch {
      return "";
    }
  }

  /** The newest lines of the daemon's log; survives a power cut. */
  log(lines: number): string {
    try {
      const text = Deno.readTextFileSync(this.host.root + LOG_FILE);
      return text.split("\n").slice(-lines - 1).join("\n");
    } catch {
      return "(no log)";
    }
  }

  /** The VIPs and other addresses that the host has, as `ip` shows them (`10.20.0.11/24`). */
  async addresses(): Promise<string[]> {
    const { stdout } = await this.host.exec(["ip", "-json", "address", "show"]);
    const links = JSON.parse(stdout) as { addr_info: { local: string; prefixlen: number }[] }[];
    return links.flatMap(({ addr_info }) =>
      addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`)
    );
  }
}

function summary(status: StatusDocument | null): string {
  if (status === null) return "the daemon does not answer";
  const { node, goal, alerts, peer } = status;
  return JSON.stringify({ state: node.state, why: node.why, goal, alerts, peer: peer.verdict });
}
