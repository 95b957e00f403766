/**
 * The shield: while services start or stop, SIP that arrives is dropped without a word, so that phones and
 * trunks try again instead of being refused (an ICMP "port unreachable" makes many of them give up for a
 * minute or more). The kernel lets it go by itself after a bounded time.
 *
 * @module
 */

import type { ShieldPort } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { run, runOk, ToolMissingError } from "../os/process.ts";
import { LOWER_RULES, raiseRules, SHIELD_TABLE } from "./shield_rules.ts";

/** nft answers in milliseconds; on a host that is starting its services it may wait for a processor. */
const NFT_DEADLINE_MS = 5000;

/** The longest that one raising may hold: better refused than silent for ever. */
export const SHIELD_MAX_MS = 300_000;

/** Options of {@linkcode Shield}. */
export interface ShieldOptions {
  /** Empty: there is no shield; raising it does nothing. */
  readonly ports: readonly ShieldPort[];
  readonly clock: Clock;
  /** How to call `nft`; default `["nft"]`. Tests enter a namespace with it. */
  readonly nftCommand?: readonly string[];
}

/** The shield while it is up; times on the monotonic clock. */
export interface ShieldUp {
  readonly since: number;
  /** The kernel lets it go then at the latest. */
  readonly until: number;
}

/** See the module. Calls are carried out one after the other. */
export class Shield {
  readonly ports: readonly ShieldPort[];
  readonly #clock: Clock;
  readonly #nft: readonly string[];
  #up: ShieldUp | null = null;
  /** A table of ours may be in the kernel: a former daemon's, to begin with. */
  #mayBeThere = true;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: ShieldOptions) {
    this.ports = options.ports;
    this.#clock = options.clock;
    this.#nft = options.nftCommand ?? ["nft"];
  }

  /** Since when it is up, and how long at most; null: it is not. */
  get up(): ShieldUp | null {
    return this.#up !== null && this.#clock.nowMs() < this.#up.until ? this.#up : null;
  }

  /**
   * Raises it, or begins its time anew.
   *
   * @param lifetimeMs at most {@linkcode SHIELD_MAX_MS} of it
   * @throws {ToolMissingError} without nft
   * @throws {ToolFailedError} when the kernel refuses
   */
  raise(lifetimeMs: number): Promise<void> {
    if (this.ports.length === 0) return Promise.resolve();
    return this.#serial(async () => {
      const ms = Math.min(lifetimeMs, SHIELD_MAX_MS);
      const since = this.up?.since ?? this.#clock.nowMs();
      const before = this.#mayBeThere ? LOWER_RULES : "";
      this.#mayBeThere = true;
      try {
        await this.#run(before + raiseRules(this.ports, ms));
      } catch (error) {
        // Without nft nothing has been changed.
        if (error instanceof ToolMissingError) this.#mayBeThere = false;
        throw error;
      }
      // Counted from after the call, as the kernel began before: we never say that it is down too early.
      this.#up = { since, until: this.#clock.nowMs() + ms };
    });
  }

  /**
   * Takes it away; does nothing when none can be there. Not to be cancelled: what must not stay goes.
   *
   * @returns for how many milliseconds it was up (0: another process had raised it); null: there was none
   * @throws {ToolFailedError} when the kernel refuses; {@linkcode up} tells until when it may last
   */
  lower(): Promise<number | null> {
    return this.#serial(async () => {
      const wasThere = this.#mayBeThere && await this.#remove();
      const upForMs = this.#up === null ? 0 : this.#clock.nowMs() - this.#up.since;
      this.#mayBeThere = false;
      this.#up = null;
      return wasThere ? upForMs : null;
    });
  }

  /** Resolves when nothing is being done; never rejects. */
  async settled(): Promise<void> {
    await this.#tail;
  }

  async #remove(): Promise<boolean> {
    try {
      const argv = [...this.#nft, "delete", "table", ...SHIELD_TABLE.split(" ")];
      if ((await run(argv, { deadlineMs: NFT_DEADLINE_MS })).code === 0) return true;
      // Not there, most likely; this goes well then, and fails for any other reason.
      await this.#run(LOWER_RULES);
    } catch (error) {
      if (!(error instanceof ToolMissingError)) throw error;
    }
    return false;
  }

  #serial<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#tail.then(work);
    this.#tail = mine.catch(() => {}); // Told to its own caller.
    return mine;
  }

  async #run(stdin: string): Promise<void> {
    await runOk([...this.#nft, "-f", "-"], { deadlineMs: NFT_DEADLINE_MS, stdin });
  }
}
