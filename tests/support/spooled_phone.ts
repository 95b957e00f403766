/**
 * Looks into the received astdb copies of a host, as they lie in its spool.
 *
 * @module
 */

import { poll } from "./poll.ts";
import type { RelaisHost } from "./relais_host.ts";

const SPOOL = "/var/lib/relais/spool/astdb";

/** Waits until a whole received copy of the astdb holds a contact of phone `user`. */
export async function untilSpooled(
  { host, name }: RelaisHost,
  user: string,
  deadlineMs: number,
): Promise<void> {
  const key = new TextEncoder().encode(`/registrar/contact/${user};@`);
  await poll(() => spooledFiles(host.root).some((bytes) => contains(bytes, key)), {
    deadlineMs,
    everyMs: 25,
    what: `a copy of the astdb with phone ${user} on ${name}`,
  });
}

function spooledFiles(root: string): Uint8Array[] {
  try {
    return [...Deno.readDirSync(root + SPOOL)]
      .filter(({ name }) => !name.endsWith(".part") && !name.endsWith(".json"))
      .map(({ name }) => Deno.readFileSync(`${root}${SPOOL}/${name}`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // none yet, or one was just replaced
    throw error;
  }
}

function contains(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let at = bytes.indexOf(part[0]!); at >= 0; at = bytes.indexOf(part[0]!, at + 1)) {
    if (part.every((byte, i) => bytes[at + i] === byte)) return true;
  }
  return false;
}
