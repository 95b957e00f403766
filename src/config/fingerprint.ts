/**
 * The fingerprint of a configuration: equal on both hosts, or no data travels between them.
 *
 * @module
 */

import { createHash } from "node:crypto";

/**
 * SHA-256 (hex) of the meaning: JSON with sorted keys, after defaults and canonical addresses, so that
 * comments, order of keys and layout of the file do not count. The order of lists does.
 */
export function fingerprintOf(meaning: unknown): string {
  return createHash("sha256").update(JSON.stringify(sortKeys(meaning))).digest("hex");
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, part]) => [key, sortKeys(part)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
