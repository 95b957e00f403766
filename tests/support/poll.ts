/**
 * Waiting in tests: for a state, within a bound, never for a time.
 *
 * @module
 */

/** How to wait. */
export interface PollOptions {
  /** Milliseconds after which waiting has failed. */
  readonly deadlineMs: number;
  /** Milliseconds between two looks; default 20. */
  readonly everyMs?: number;
  /** What is waited for, and what to look at when it does not come; for the error. */
  readonly what: string;
  /** Describes what was there instead, for the error. */
  readonly instead?: () => string | Promise<string>;
}

/** What was waited for did not come in time. */
export class PollTimeoutError extends Error {
  override readonly name = "PollTimeoutError";
}

/**
 * Looks until `look` returns something else than null, undefined or false, and returns that.
 *
 * @throws {PollTimeoutError} after `deadlineMs`
 */
export async function poll<T>(
  look: () => T | Promise<T>,
  options: PollOptions,
): Promise<Exclude<T, null | undefined | false>> {
  const end = performance.now() + options.deadlineMs;
  while (true) {
    const seen = await look();
    if (seen !== null && seen !== undefined && seen !== false) {
      return seen as Exclude<T, null | undefined | false>;
    }
    if (performance.now() >= end) break;
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 20));
  }
  const instead = options.instead === undefined ? "" : `: ${await options.instead()}`;
  throw new PollTimeoutError(
    `Cannot see ${options.what} as it did not come within ${options.deadlineMs} ms${instead}`,
  );
}
