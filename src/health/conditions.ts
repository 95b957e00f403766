/**
 * Which health URL answers 200 and when: one table that is the code, the documentation (docs/http.md)
 * and the test.
 *
 * @module
 */

import type { HealthBody } from "./types.ts";

/** The loop turns several times a second; older than this, the daemon hangs and says so. */
export const LOOP_AGE_MAX_MS = 5_000;

/** One health URL: 200 while `holds`, otherwise 503. */
export interface HealthCondition {
  readonly path: string;
  /** In words, for the documentation. */
  readonly when: string;
  readonly holds: (health: HealthBody) => boolean;
}

/**
 * The table. Every URL also needs a live daemon: its loop turned within {@linkcode LOOP_AGE_MAX_MS}.
 */
export const HEALTH_CONDITIONS: readonly HealthCondition[] = [
  {
    path: "/health",
    when: "the daemon is alive",
    holds: () => true,
  },
  {
    path: "/health/active",
    when: "the node serves: state `active`, or `maintenance` while it serves",
    holds: ({ state, serving }) => serving && (state === "active" || state === "maintenance"),
  },
  {
    path: "/health/standby",
    when: "the node stands by: state `standby`",
    holds: ({ state }) => state === "standby",
  },
  {
    path: "/health/ready",
    when:
      "the node is where it should be: it serves and is fit, or it stands by and could take over",
    holds: ({ state, serving, fit, ready }) =>
      (state === "active" && serving && fit) || (state === "standby" && fit && ready),
  },
];
