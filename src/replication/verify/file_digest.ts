/**
 * The digest of a file.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** Hex SHA-256 and size of a file, read in pieces. */
export async function digestOf(
  path: string,
): Promise<{ readonly sha256: string; readonly size: number }> {
  const file = await Deno.open(path, { read: true });
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of file.readable) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { sha256: hash.digest("hex"), size };
}
