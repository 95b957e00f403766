/**
 * What one listener has been told of the alerts, and what it has not: news wait until somebody took them,
 * however long that is. Pure bookkeeping with the times that it is given; bounded.
 *
 * @module
 */

/** An alert that was not seen for this long is over, in ms: one that flickers is one alert. */
export const OVER_AFTER_MS = 60_000;
/** As many alerts as the status shows. */
const SEEN_MAX = 100;
/** Alerts that are there and news that nobody took. Twice {@linkcode SEEN_MAX}: there is always something to leave out. */
const KEPT_MAX = 200;

/** One thing to tell. */
export interface AlertNews {
  /** The sentence, as in the status. */
  readonly text: string;
  /** When it was first seen, wall clock ms. */
  readonly sinceMs: number;
  /** It has ended meanwhile, or does not last. */
  readonly over: boolean;
}

/** What is to be told in one go. */
export interface AlertBatch {
  /** Not told yet, oldest first; some of them may be over by now. */
  readonly news: ReadonlyMap<string, AlertNews>;
  /** Told before, and over now. */
  readonly over: ReadonlyMap<string, AlertNews>;
  /** Older news that were left out as nobody had taken so many. */
  readonly leftOut: number;
}

interface Entry {
  readonly text: string;
  readonly sinceMs: number;
  /** Monotonic ms; -Infinity for what never lasts (a move). */
  readonly seenAt: number;
  /** Monotonic ms at which it became news. */
  readonly newAt: number;
  readonly told: boolean;
}

/** See the module. */
export class AlertLedger {
  readonly #entries = new Map<string, Entry>();
  #now = 0;
  #leftOut = 0;
  #moves = 0;

  /** Looks at the alerts of the moment; `now` is monotonic ms, `wallMs` the wall clock. */
  see(texts: readonly string[], { now, wallMs }: At): void {
    this.#now = now;
    for (const text of texts.slice(-SEEN_MAX)) {
      const key = keyOf(text);
      const known = this.#entries.get(key);
      this.#entries.set(
        key,
        known === undefined
          ? { text, sinceMs: wallMs, seenAt: now, newAt: now, told: false }
          : { ...known, text, seenAt: now },
      );
    }
    this.#bound();
  }

  /** Something that happened once and does not last. */
  add(text: string, { now, wallMs }: At): void {
    this.#moves += 1;
    const entry = { text, sinceMs: wallMs, seenAt: -Infinity, newAt: now, told: false };
    this.#entries.set(`${this.#moves}. move`, entry);
    this.#bound();
  }

  /** What is to be told, and since when (monotonic ms) the oldest of it waits; null: nothing. */
  due(): { readonly batch: AlertBatch; readonly waitsSince: number } | null {
    const news = new Map<string, AlertNews>();
    const over = new Map<string, AlertNews>();
    let waitsSince = Infinity;
    for (const [key, { text, sinceMs, told, newAt, seenAt }] of this.#entries) {
      const isOver = this.#now - seenAt >= OVER_AFTER_MS;
      if (told && !isOver) continue;
      (told ? over : news).set(key, { text, sinceMs, over: isOver });
      waitsSince = Math.min(waitsSince, told ? seenAt + OVER_AFTER_MS : newAt);
    }
    if (news.size + over.size === 0) return null;
    return { batch: { news, over, leftOut: this.#leftOut }, waitsSince };
  }

  /** Somebody took the batch, as {@linkcode AlertLedger.due} had made it. */
  told({ news, over, leftOut }: AlertBatch): void {
    this.#leftOut -= leftOut;
    for (const key of over.keys()) this.#entries.delete(key);
    for (const [key, one] of news) {
      const entry = this.#entries.get(key);
      if (entry === undefined) continue;
      if (one.over) this.#entries.delete(key);
      else this.#entries.set(key, { ...entry, told: true });
    }
  }

  /** Leaves out the oldest of what does not last: what lasts is at most half of what is kept. */
  #bound(): void {
    if (this.#entries.size <= KEPT_MAX) return;
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= KEPT_MAX) return;
      if (entry.seenAt === this.#now) continue;
      this.#entries.delete(key);
      if (!entry.told) this.#leftOut += 1;
    }
  }
}

/** A moment on both clocks. */
interface At {
  readonly now: number;
  readonly wallMs: number;
}

/** Ages and sizes in a sentence do not make it another one; addresses and other numbers do. */
function keyOf(text: string): string {
  return text.replaceAll(/(?<![\w.:])\d+(?:\.\d+)? (?:ms|s|min|h|days|bytes|[kMG]i?B)\b/g, "#");
}
