/**
 * The client's ARP table, as its kernel shows it: whom a telephone would send its packets to.
 *
 * @module
 */

import type { Span, VipRecord } from "./ruler.ts";
import { lengths } from "./ruler.ts";

const LOOK_MS = 20;
const CHANGES_MAX = 100_000;

/** The entry of a VIP from that time on. */
interface Entry {
  readonly at: number;
  readonly mac: string | null;
}

/** Looks at the table again and again. */
export class ArpTable {
  readonly #entries: Entry[] = [];
  readonly #timer: ReturnType<typeof setInterval>;

  /** @param pid a process in the client's network namespace */
  constructor(pid: number, readonly vip: string) {
    const path = `/proc/${pid}/net/arp`;
    this.#timer = setInterval(() => this.#look(path), LOOK_MS);
    this.#look(path);
  }

  /** The MAC that the client has now. */
  get mac(): string | null {
    return this.#entries.at(-1)?.mac ?? null;
  }

  /**
   * The longest time in which exactly one host answered, and the client's entry was another one's. A client
   * that has no entry asks, and hears the right one.
   */
  longestStale(record: VipRecord, time: Span): number {
    const spans: Span[] = [];
    let since: number | null = null;
    let n = 0;
    for (const { at, answers } of record.between(time)) {
      while (n + 1 < this.#entries.length && this.#entries[n + 1]!.at <= at) n++;
      const known = this.#entries[n]?.mac ?? null;
      const stale = answers.length === 1 && known !== null && known !== answers[0];
      if (stale) since ??= at;
      else if (since !== null) {
        spans.push({ from: since, to: at });
        since = null;
      }
    }
    if (since !== null) spans.push({ from: since, to: time.to });
    return lengths(spans).longest;
  }

  /** Stops looking. */
  close(): void {
    clearInterval(this.#timer);
  }

  #look(path: string): void {
    const line = Deno.readTextFileSync(path).split("\n")
      .find((each) => each.startsWith(`${this.vip} `));
    const [, , flags, found] = line?.split(/\s+/) ?? [];
    // Flags 0: asked for, not known.
    const mac = flags === undefined || flags === "0x0" ? null : found ?? null;
    if (this.#entries.length > 0 && this.mac === mac) return;
    if (this.#entries.length < CHANGES_MAX) this.#entries.push({ at: Date.now(), mac });
  }
}
