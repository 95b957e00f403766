/**
 * The two SIP messages of the telephony check as bytes: the OPTIONS request that asks, and any response
 * (RFC 3261 sections 7, 11, 17.1.3 and 20; rport: RFC 3581). Pure.
 *
 * @module
 */

import { urlHost } from "../os/ip_bytes.ts";

/** Datagrams are read up to here; a response to OPTIONS has a few hundred bytes. */
export const MAX_SIP_BYTES = 8192;

/** What makes one OPTIONS request this one and no other. */
export interface OptionsRequest {
  /** Who is asked: IP address in text, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Port that the answer comes to. */
  readonly localPort: number;
  /** Unique per request, token characters; the magic cookie is added here. */
  readonly branch: string;
  readonly callId: string;
  readonly tag: string;
}

/** The parts of a response that tell whose it is. */
export interface SipResponse {
  /** 100 to 699. */
  readonly status: number;
  /** Branch of the topmost Via, without the magic cookie; empty when there is none. */
  readonly branch: string;
  readonly callId: string;
}

/** RFC 3261 section 8.1.1.7: every branch begins with it. */
const MAGIC_COOKIE = "z9hG4bK";

/**
 * Bytes of the request. The sent-by host is the one that is asked: the check asks its own host, and
 * `rport` makes every current server answer to where the datagram came from.
 */
export function encodeOptions(request: OptionsRequest): Uint8Array<ArrayBuffer> {
  const { host, port, localPort, branch, callId, tag } = request;
  const name = urlHost(host);
  return new TextEncoder().encode(
    [
      `OPTIONS sip:${name}:${port} SIP/2.0`,
      `Via: SIP/2.0/UDP ${name}:${localPort};rport;branch=${MAGIC_COOKIE}${branch}`,
      "Max-Forwards: 70",
      `From: <sip:relais@${name}>;tag=${tag}`,
      `To: <sip:${name}:${port}>`,
      `Call-ID: ${callId}`,
      "CSeq: 1 OPTIONS",
      `Contact: <sip:relais@${name}:${localPort}>`,
      "Accept: application/sdp",
      "User-Agent: relais",
      "Content-Length: 0",
      "",
      "",
    ].join("\r\n"),
  );
}

/** Reads the head of a datagram; null when it is not a SIP response. */
export function parseResponse(bytes: Uint8Array): SipResponse | null {
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, MAX_SIP_BYTES));
  const head = text.split("\r\n\r\n", 1)[0] ?? "";
  // Section 7.3.1: a line that begins with white space continues the one before.
  const lines = head.replace(/\r\n[ \t]+/g, " ").split("\r\n");
  const status = /^SIP\/2\.0 ([1-6][0-9]{2})( |$)/.exec(lines[0] ?? "");
  if (status === null) return null;
  const via = headerOf(lines, ["via", "v"]);
  const callId = headerOf(lines, ["call-id", "i"]);
  if (callId === null) return null;
  // The topmost of several values in one header field (section 7.3.1) comes first.
  const top = via?.split(",", 1)[0] ?? "";
  const branch = /;[ \t]*branch[ \t]*=[ \t]*([^;\s]+)/i.exec(top)?.[1] ?? "";
  return {
    status: Number(status[1]),
    branch: branch.startsWith(MAGIC_COOKIE) ? branch.slice(MAGIC_COOKIE.length) : branch,
    callId,
  };
}

/** Value of the first header of that name (long or compact form, any case); null when absent. */
function headerOf(lines: readonly string[], names: readonly string[]): string | null {
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(":");
    if (colon < 1) continue;
    if (names.includes(line.slice(0, colon).trimEnd().toLowerCase())) {
      return line.slice(colon + 1).trim();
    }
  }
  return null;
}

/** Whether `response` answers `request` (section 17.1.3), whatever its status says. */
export function answers(response: SipResponse, request: OptionsRequest): boolean {
  return response.branch === request.branch && response.callId === request.callId;
}
