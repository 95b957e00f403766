/**
 * The host under examination: what several checks look at is asked once.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import { DATA_SET_NAMES, type Role } from "../core/types.ts";
import type { StatusDocument } from "../health/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { run, type RunResult } from "../os/process.ts";
import type { Fact, HostFacts } from "../replication/host_facts.ts";
import type { Paths } from "../runtime/paths.ts";
import { type InterfaceInfo, readInterfaces } from "../vip/iproute.ts";
import { collectFacts } from "./facts.ts";
import { askFacts, askHello, type CallOptions, type PeerFacts } from "./peer_call.ts";

/** Longest answer to `facts`, ms: the peer starts PostgreSQL sessions and calls back through ssh. */
const FACTS_MS = 25_000;
const HELLO_MS = 15_000;
/** Longest time of one tool, ms. */
const TOOL_MS = 10_000;

/** What {@linkcode Patient} needs. */
export interface PatientOptions {
  readonly config: LocalConfig;
  readonly paths: Paths;
  readonly version: string;
  readonly clock: Clock;
  /** The daemon's status; null: it does not run. Rejects when it runs and cannot be understood. */
  readonly status: () => Promise<StatusDocument | null>;
  readonly signal: AbortSignal;
}

/** One way of ssh to the peer. */
export interface Way {
  readonly address: string;
  /** Null: it answered. */
  readonly error: string | null;
}

/** See the module. Every question is put once, when it is first needed. */
export class Patient {
  readonly config: LocalConfig;
  readonly paths: Paths;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly status: () => Promise<StatusDocument | null>;
  readonly interfaces: () => Promise<readonly InterfaceInfo[]>;
  readonly own: () => Promise<HostFacts>;
  /** Names and arguments of all processes, one a line. */
  readonly processes: () => Promise<string>;
  readonly #asked: () => Promise<{ readonly ways: readonly Way[]; readonly peer: Fact<PeerFacts> }>;
  readonly #nonce = [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");

  constructor(options: PatientOptions) {
    const { config, paths, clock, signal, version } = options;
    this.config = config;
    this.paths = paths;
    this.clock = clock;
    this.signal = signal;
    this.status = once(options.status);
    this.interfaces = once(() => readInterfaces());
    this.own = once(() =>
      collectFacts({
        config,
        paths,
        version,
        nonce: this.#nonce,
        daemon: () => Promise.resolve(null),
        back: null,
        signal,
      })
    );
    this.processes = once(async () => (await this.tool(["ps", "-eo", "pid=,comm=,args="])).stdout);
    this.#asked = once(() => this.#ask());
  }

  /** The other host's role. */
  get peerRole(): Role {
    return this.config.role === "master" ? "slave" : "master";
  }

  /** Copies are configured, so the hosts need ssh. */
  get usesSsh(): boolean {
    return DATA_SET_NAMES.some((set) => this.config.replication[set] !== null);
  }

  /** systemd is this host's init. */
  get hasSystemd(): boolean {
    try {
      return Deno.statSync("/run/systemd/system").isDirectory;
    } catch {
      return false;
    }
  }

  /** Every way of ssh to the peer. */
  async ways(): Promise<readonly Way[]> {
    return (await this.#asked()).ways;
  }

  /**
   * What the peer tells.
   *
   * @throws {Error} when it tells nothing
   */
  async peer(): Promise<PeerFacts> {
    const { peer } = await this.#asked();
    if ("error" in peer) throw new Error(`the peer tells nothing (${peer.error})`);
    return peer.value;
  }

  /**
   * Runs a tool in the C locale, whatever its exit status.
   *
   * @throws what `run` throws
   */
  async tool(argv: readonly string[]): Promise<RunResult> {
    const options = { deadlineMs: TOOL_MS, env: { LC_ALL: "C" }, signal: this.signal };
    const result = await run(argv, options);
    if (result.droppedBytes > 0) throw new Error(`${argv[0]} says more than can be read`);
    return result;
  }

  async #ask(): Promise<{ ways: readonly Way[]; peer: Fact<PeerFacts> }> {
    const addresses = [...new Set(this.config.networks.map((network) => network[this.peerRole]))];
    const [first = "", ...others] = addresses;
    const call = (address: string, deadlineMs: number): CallOptions => ({
      transport: this.config.replication.transport,
      address,
      clock: this.clock,
      deadlineMs,
      signal: this.signal,
    });
    const facts = (address: string): Promise<Fact<PeerFacts>> =>
      settle(askFacts(this.#nonce, call(address, FACTS_MS)));
    const [told, ...heard] = await Promise.all([
      facts(first),
      ...others.map((address) => settle(askHello(call(address, HELLO_MS)))),
    ]);
    const ways = [told, ...heard].map((fact, i) => ({
      address: addresses[i] ?? "",
      error: "error" in fact ? fact.error : null,
    }));
    const other = ways.find(({ error }) => error === null)?.address;
    const peer = "error" in told && other !== undefined ? await facts(other) : told;
    return { ways, peer };
  }
}

async function settle<T>(promise: Promise<T>): Promise<Fact<T>> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | null = null;
  return () => asked ??= ask();
}

/** The value of a fact of the peer or of this host; throws why there is none. */
export function valueOf<T>(fact: Fact<T>): T {
  if ("error" in fact) throw new Error(fact.error);
  return fact.value;
}
