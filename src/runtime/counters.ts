/**
 * What the HTTP side counts of what it ignored, refused and accepted.
 *
 * @module
 */

import type { StatusDocument } from "../health/types.ts";

/** All counters at zero: a daemon that has just started. */
export function noCounters(): StatusDocument["counters"] {
  return {
    httpGarbage: 0,
    httpRefused: 0,
    icmpIgnored: 0,
    arpGarbage: 0,
    messagesRefused: 0,
    messagesAccepted: 0,
  };
}
