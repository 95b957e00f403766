/**
 * What SIPp logs, and how it is ended.
 *
 * @module
 */

import type { HostProcess } from "../support/host_process.ts";

const END_DEADLINE_MS = 20_000;

/** A SIP message that a phone sent or received, from SIPp's log. */
export interface SipMessage {
  /** Seconds since 1970, by the machine's clock. */
  readonly atS: number;
  readonly direction: "sent" | "received";
  readonly callId: string;
  /** First line: `INVITE sip:… SIP/2.0`, `SIP/2.0 200 OK`. */
  readonly text: string;
}

/** `DATE\tTIME\tEPOCH\tS|R\tCALL-ID\tCSEQ\tFIRST-LINE`, as SIPp's -trace_shortmsg writes it. */
export function shortMessages(log: string): SipMessage[] {
  return log.split("\n").map((line) => line.split("\t")).filter((parts) => parts.length >= 6)
    .map((parts) => ({
      atS: Number(parts[2]),
      direction: parts[3] === "S" ? "sent" : "received",
      callId: parts[4]!,
      text: parts.at(-1)!.trim(),
    }));
}

/** SIGKILL to the starter: what it started inside the machine dies with it. */
export async function endSipp(process: HostProcess): Promise<void> {
  process.killStarter();
  await process.ended(END_DEADLINE_MS);
}
