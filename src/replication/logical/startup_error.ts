/**
 * A refusal in PostgreSQL's own protocol (ErrorResponse, version 3), so that the server that dials through
 * the tunnel has the reason in its log and not only "closed the connection unexpectedly"; pure.
 *
 * @module
 */

/** Longest reason that is told, in characters. */
const MAX_REASON = 500;

/** ErrorResponse FATAL 57P03 (cannot_connect_now) with `reason` as its message. */
export function startupError(reason: string): Uint8Array<ArrayBuffer> {
  const text = [...reason.slice(0, MAX_REASON)].map((char) => char < " " ? " " : char).join("");
  const fields = new TextEncoder().encode(`SFATAL\0VFATAL\0C57P03\0Mrelais: ${text}\0\0`);
  const message = new Uint8Array(5 + fields.length);
  message[0] = 0x45; // "E"
  new DataView(message.buffer).setUint32(1, 4 + fields.length);
  message.set(fields, 5);
  return message;
}
