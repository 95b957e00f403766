/**
 * The pieces that plans are made of.
 *
 * @module
 */

import type { RouteInfo } from "./iproute.ts";

/** One line for `ip -batch`. */
export interface Operation {
  readonly kind: "add-address" | "add-route" | "delete-address" | "delete-route";
  readonly line: string;
  /** For people, e.g. `10.20.0.10/32 on eth0`. */
  readonly what: string;
  /** Null: of a network that is not configured any more. */
  readonly network: string | null;
  /** The address that is concerned; for routes their source. */
  readonly vip: string | null;
  /** Null for addresses. */
  readonly route: RouteInfo | null;
}

/** What is waited for, as a sentence. */
export function absentSentence(network: string, purpose: string): string {
  return `Cannot ${purpose} as the interface of network "${network}" is absent or down: waiting for it`;
}
