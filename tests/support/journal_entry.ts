/**
 * Reads a datagram of the journal's native protocol, as systemd-journald does.
 *
 * @module
 */

/**
 * The fields of one datagram by name.
 *
 * @throws {Error} when it is malformed
 */
export function parseJournalEntry(bytes: Uint8Array): Map<string, string> {
  const fields = new Map<string, string>();
  const decoder = new TextDecoder();
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) throw new Error(`Cannot read the entry as the line at byte ${at} has no end`);
    const line = decoder.decode(bytes.subarray(at, end));
    const equals = line.indexOf("=");
    if (equals >= 0) {
      fields.set(line.slice(0, equals), line.slice(equals + 1));
      at = end + 1;
      continue;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const length = Number(view.getBigUint64(end + 1, true));
    const from = end + 9;
    if (bytes[from + length] !== 0x0a) {
      throw new Error(`Cannot read the entry as the value of ${line} does not end where it says`);
    }
    fields.set(line, decoder.decode(bytes.subarray(from, from + length)));
    at = from + length + 1;
  }
  return fields;
}
