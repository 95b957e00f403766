/**
 * Does anything keep the wall clock right? The kernel knows, whoever does it (chrony, ntpd, timesyncd):
 * adjtimex(2). Reading needs no privilege.
 *
 * @module
 */

import { lastErrno, libc } from "./libc.ts";

/** `struct timex` on 64-bit Linux; `modes` (the first field) 0 means: read only. */
const TIMEX_BYTES = 208;
/** What adjtimex returns while nobody has set the clock right for a long time (STA_UNSYNC). */
const TIME_ERROR = 5;

/**
 * Whether the kernel takes the wall clock for synchronised.
 *
 * @throws {Error} when the kernel does not tell
 */
export function isClockSynchronised(): boolean {
  const state = libc().adjtimex(new Uint8Array(TIMEX_BYTES));
  if (state < 0) throw new Error(`Cannot read the state of the clock: errno ${lastErrno()}`);
  return state !== TIME_ERROR;
}
