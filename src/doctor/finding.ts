/**
 * What a check finds.
 *
 * @module
 */

import { CATALOGUE, type CheckId, type Group } from "./catalogue.ts";

/** From good to bad. A note is nothing to mend. */
const SEVERITIES = ["ok", "note", "warning", "failure"] as const;
/** See the list of the same name. */
export type Severity = typeof SEVERITIES[number];

/** What a check says; the catalogue adds the rest. */
export interface Said {
  readonly id: CheckId;
  readonly severity: Severity;
  /** A sentence without its period. */
  readonly found: string;
  /** Better advice than the catalogue's. */
  readonly mend?: string;
  /** False: the check could not be made, so nothing is proven. Default true. */
  readonly checked?: boolean;
}

/** One finding as it is shown. */
export interface Finding {
  readonly id: CheckId;
  readonly group: Group;
  readonly severity: Severity;
  readonly checked: boolean;
  readonly found: string;
  readonly why: string;
  /** A command, or what to do; null: there is nothing to mend. */
  readonly mend: string | null;
}

/** A check: everything that it can find has one of its ids. */
export interface Check {
  readonly ids: readonly CheckId[];
  /** Resolves to nothing when the check does not apply to this configuration. May throw: then it could not be made. */
  readonly look: () => Promise<readonly Said[]>;
}

/** It is as it should be. */
export function good(id: CheckId, found: string): Said {
  return { id, severity: "ok", found };
}

/** Worth knowing, nothing to mend. */
export function note(id: CheckId, found: string): Said {
  return { id, severity: "note", found };
}

/** It works, but will bite. */
export function warning(id: CheckId, found: string, mend?: string): Said {
  return { id, severity: "warning", found, ...(mend === undefined ? {} : { mend }) };
}

/** It does not work. */
export function failure(id: CheckId, found: string, mend?: string): Said {
  return { id, severity: "failure", found, ...(mend === undefined ? {} : { mend }) };
}

/** It could not be looked at, which is no success. */
export function unchecked(id: CheckId, why: string, mend?: string): Said {
  return { ...warning(id, `could not check: ${why}`, mend), checked: false };
}

/** Adds what the catalogue knows. */
export function completed(said: Said): Finding {
  const { id, severity, checked = true } = said;
  const { group, why, mend } = CATALOGUE[id];
  const needsMending = severity === "warning" || severity === "failure";
  // One line each, and bounded: parts of it come from tools and from the peer.
  const found = said.found.replaceAll(/\s+/g, " ").trim().slice(0, 1000);
  const advice = needsMending ? said.mend ?? (checked ? mend : null) : null;
  return { id, group, severity, checked, found, why, mend: advice };
}
