/**
 * Turns single good and bad checks into a judgement that does not flap: `rise` good ones in a row make
 * healthy, `fall` bad ones in a row make ill. Pure.
 *
 * @module
 */

/** The judgement of a row of checks. */
export class RiseFall {
  readonly #rise: number;
  readonly #fall: number;
  #healthy: boolean | null = null;
  #last: boolean | null = null;
  /** Length of the row of equal results that ends now. */
  #row = 0;

  /** @param thresholds both 1 or more */
  constructor(thresholds: { readonly rise: number; readonly fall: number }) {
    this.#rise = thresholds.rise;
    this.#fall = thresholds.fall;
  }

  /** Null until the first row was long enough. */
  get healthy(): boolean | null {
    return this.#healthy;
  }

  /** Counts one result; true if the judgement changed with it. */
  add(good: boolean): boolean {
    this.#row = this.#last === good ? this.#row + 1 : 1;
    this.#last = good;
    if (this.#healthy === good || this.#row < (good ? this.#rise : this.#fall)) return false;
    this.#healthy = good;
    return true;
  }

  /** Forgets everything: the services were stopped, or the evidence is void. */
  reset(): void {
    this.#healthy = null;
    this.#last = null;
    this.#row = 0;
  }
}
