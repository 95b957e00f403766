/**
 * Counts the tables that `pg_restore --verbose` has restored.
 *
 * @module
 */

import type { SetProgress } from "./set_header.ts";

/** Counts from what the program says. */
export class TableCount {
  readonly #total: number;
  #begun = 0;
  #dataOver = false;

  /** `total`: tables whose rows are in the dump. */
  constructor(total: number) {
    this.#total = total;
  }

  /** Takes one line of the program; true: it tells what it does, it is not an error. */
  hear(line: string): boolean {
    if (!/^pg_restore: (?!error:|warning:|hint:|detail:)/.test(line)) return false;
    if (line.startsWith("pg_restore: processing data for table")) this.#begun++;
    // What follows the rows is built from them.
    else if (/^pg_restore: creating (INDEX|CONSTRAINT|FK|TRIGGER)/.test(line)) {
      this.#dataOver ||= this.#begun > 0;
    }
    return true;
  }

  /** Tables whose rows are in, of how many. */
  get progress(): Pick<SetProgress, "tablesDone" | "tablesTotal"> {
    const whole = Math.min(Math.max(this.#begun - 1, 0), this.#total);
    return { tablesDone: this.#dataOver ? this.#total : whole, tablesTotal: this.#total };
  }
}
