/**
 * How often an address may ask: a steady rate and a burst on top (the generic cell rate algorithm, ITU-T
 * I.371), for each address and for all of them together, so that who asks thousands of times a second
 * waits for his answers instead of the daemon's loop for him. Bounded; knows no time but what it is told.
 *
 * @module
 */

/** Requests a second that one address may make for long. */
export const PER_ADDRESS = { perSecond: 50, burst: 100 } as const;
/** The same for all addresses together that are not the peer's. */
export const TOGETHER = { perSecond: 200, burst: 400 } as const;
/** Connections a second of those that are not the peer's, over all addresses. */
export const CONNECTS = { perSecond: 400, burst: 100 } as const;
/** Who would wait longer than this is refused. */
export const WAIT_MAX_MS = 2_000;
/** Addresses that are remembered; beyond it the others share one rate. */
export const ADDRESSES_MAX = 256;

/** A steady rate with a burst. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

const OTHERS = "others";

/** See the module. */
export class RequestPace {
  /** The moment (monotonic ms) at which each would be back at rest. */
  readonly #restAt = new Map<string, number>();
  #allRestAt = -Infinity;

  /** Addresses that are remembered now. */
  get size(): number {
    return this.#restAt.size;
  }

  /**
   * One more request of `address`: how long it must wait, in milliseconds. Null: too long; it is to be
   * refused, and is not counted.
   */
  ask(address: string, now: number): number | null {
    const known = this.#place(address, now);
    const own = next(this.#restAt.get(known) ?? -Infinity, PER_ADDRESS, now);
    const all = next(this.#allRestAt, TOGETHER, now);
    const waitMs = Math.max(own.waitMs, all.waitMs);
    if (waitMs > WAIT_MAX_MS) return null;
    this.#restAt.set(known, own.restAt);
    this.#allRestAt = all.restAt;
    return waitMs;
  }

  /** Who is at rest is forgotten when room is needed. */
  #place(address: string, now: number): string {
    if (this.#restAt.has(address) || this.#restAt.size < ADDRESSES_MAX) return address;
    for (const [known, restAt] of this.#restAt) if (restAt <= now) this.#restAt.delete(known);
    return this.#restAt.size < ADDRESSES_MAX ? address : OTHERS;
  }
}

/** One more: when it would be at rest again (monotonic ms), and how long this one must wait. */
export function next(
  restAt: number,
  { perSecond, burst }: Rate,
  now: number,
): { readonly restAt: number; readonly waitMs: number } {
  const everyMs = 1000 / perSecond;
  const after = Math.max(restAt, now) + everyMs;
  return { restAt: after, waitMs: Math.max(0, after - now - burst * everyMs) };
}
