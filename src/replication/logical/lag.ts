/**
 * How far the slave is behind: bytes of log, and milliseconds since the oldest change that it has not
 * applied; pure.
 *
 * @module
 */

/** Looks that are remembered; one a second, so this bounds how old a lag can be told. */
const MAX_MARKS = 3600;

/** What is known of the lag. */
export interface Lag {
  readonly bytes: number;
  /** Null: the slave was behind already when this was looked at first, nobody knows since when. */
  readonly ms: number | null;
}

/** Remembers where the log ended at each look. */
export class LagMeter {
  #caughtUp = false;
  readonly #marks: { readonly lsn: number; readonly atMs: number }[] = [];

  /**
   * Takes a look in.
   *
   * @param look `replayedLsn`: what the slave has applied, null: not connected; `exactMs`: PostgreSQL's own
   * measure, which is finer while there is traffic
   */
  look(look: {
    readonly nowMs: number;
    readonly lsn: number;
    readonly replayedLsn: number | null;
    readonly exactMs: number | null;
    /** Known from the slot while nobody is connected. */
    readonly behindBytes: number;
  }): Lag {
    const { nowMs, lsn, replayedLsn } = look;
    const done = replayedLsn ?? lsn - look.behindBytes;
    if (done >= lsn || (this.#marks.length > 0 && this.#marks[0]!.lsn <= done)) {
      this.#caughtUp = true;
    }
    while (this.#marks.length > 0 && this.#marks[0]!.lsn <= done) this.#marks.shift();
    const oldest = this.#marks[0];
    if (this.#marks.length === MAX_MARKS) this.#marks.splice(1, 1);
    this.#marks.push({ lsn, atMs: nowMs });
    const bytes = Math.max(0, lsn - done);
    if (bytes > 0 && !this.#caughtUp) return { bytes, ms: null };
    return { bytes, ms: oldest === undefined ? look.exactMs ?? 0 : nowMs - oldest.atMs };
  }

  /** Another slot: what was measured means nothing any more. */
  reset(): void {
    this.#marks.length = 0;
    this.#caughtUp = false;
  }
}
