/**
 * Writing to a descriptor whole: one write(2) may take only a part.
 *
 * @module
 */

/** Writes every byte; rejects as `to.write` does. */
export async function writeAll(
  to: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}
