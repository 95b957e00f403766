/**
 * A port of the shield as it is typed: `udp:5060`.
 *
 * @module
 */

import { BOUNDS } from "./defaults.ts";
import type { ShieldPort } from "./types.ts";

/** Reads `udp:PORT` or `tcp:PORT`; null when it is neither. */
export function parseShieldPort(text: string): ShieldPort | null {
  const match = /^(udp|tcp):([1-9][0-9]{0,4})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > BOUNDS.port.max) return null;
  return { protocol: match[1] === "tcp" ? "tcp" : "udp", port };
}
