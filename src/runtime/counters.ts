/**
 * What the HTTP side counts of what it ignored, refused and accepted.
 *
 * @module
 */

import { noRefusals, type RefusalReason, type StatusDocument } from "../health/types.ts";

/** Counters of the status, and the refused messages by why. */
export type Counters = StatusDocument["counters"] & {
  readonly refusals: Record<RefusalReason, number>;
};

/** All counters at zero: a daemon that has just started. */
export function noCounters(): Counters {
  return {
    httpGarbage: 0,
    httpRefused: 0,
    icmpIgnored: 0,
    arpGarbage: 0,
    messagesRefused: 0,
    messagesAccepted: 0,
    httpPaced: 0,
    healthUnproved: 0,
    refusals: noRefusals(),
  };
}
