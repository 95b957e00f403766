/**
 * The three questions that the outside observer asks again and again: does the VIP answer ping (and from
 * which MAC), does its SIP server answer, and who claims it by ARP.
 *
 * @module
 */

import { internetChecksum } from "../../src/os/internet_checksum.ts";
import { ipBytes } from "../../src/os/ip_bytes.ts";
import {
  AF_INET,
  AF_INET6,
  connectSocket,
  ECONNREFUSED,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  internetAddress,
  linkAddress,
  openPacketSocket,
  openSocket,
  type Received,
  receiveFrom,
  sendTo,
  setOption,
  SOCK_DGRAM,
  SOCK_RAW,
} from "./blocking_socket.ts";

/** What to ask, whom, how often. */
export interface ProbeTarget {
  /** Label in reports. */
  readonly name: string;
  readonly kind: "icmp" | "sip" | "arp";
  readonly address: string;
  /** Interface towards the target. */
  readonly interfaceName: string;
  readonly everyMs: number;
}

/** An answer to request `index`. */
export interface Answer {
  readonly index: number;
  /** MAC of the answering interface, or the SIP server's name; null: the request was refused. */
  readonly by: string | null;
}

/** One kind of question to one target. */
export interface Probe {
  readonly target: ProbeTarget;
  /** The descriptor to wait on. */
  readonly fd: number;
  /** Sends request `index`. An error of the local network counts as a lost request. */
  send(index: number): void;
  /** Takes everything that was received. */
  receive(): Answer[];
}

/** Opens the sockets of a probe. Throws when that fails (not root, no such interface). */
export function openProbe(target: ProbeTarget): Probe {
  if (target.kind === "icmp") return openIcmpProbe(target);
  return target.kind === "sip" ? openSipProbe(target) : openArpProbe(target);
}

const IDENTIFIER = crypto.getRandomValues(new Uint16Array(1))[0]!;

/** Echo requests leave through a raw socket (the kernel resolves the MAC, as for any client). */
function openIcmpProbe(target: ProbeTarget): Probe {
  const address = ipBytes(target.address);
  const v4 = address.length === 4;
  const out = v4 ? openSocket(AF_INET, SOCK_RAW, 1) : openSocket(AF_INET6, SOCK_RAW, 58);
  // Replies are read from the packet socket, which also tells the MAC; this one takes nothing.
  const filter = v4 ? { level: 255, name: 1, size: 4 } : { level: 58, name: 1, size: 32 };
  setOption(out, { ...filter, value: new Uint8Array(filter.size).fill(0xff) });
  const to = internetAddress(address, 0);
  const fd = openPacketSocket(target.interfaceName, v4 ? ETH_P_IP : ETH_P_IPV6);
  const request = new Uint8Array(16);
  const view = new DataView(request.buffer);
  return {
    target,
    fd,
    send(index): void {
      view.setUint8(0, v4 ? 8 : 128);
      view.setUint16(2, 0);
      view.setUint16(4, IDENTIFIER);
      view.setUint16(6, index & 0xffff);
      view.setUint32(8, index);
      if (v4) view.setUint16(2, internetChecksum(request));
      sendTo(out, request, to);
    },
    receive: () => drain(fd, (received) => echoReply(received, address)),
  };
}

function echoReply({ bytes, from }: Received, address: Uint8Array): Answer | null {
  const v4 = address.length === 4;
  const header = v4 ? ((bytes[0] ?? 0) & 0x0f) * 4 : 40;
  const protocol = v4 ? bytes[9] : bytes[6];
  if (protocol !== (v4 ? 1 : 58) || bytes.length < header + 12) return null;
  if (!contains(bytes, address, v4 ? 12 : 8)) return null;
  const icmp = new DataView(bytes.buffer, bytes.byteOffset + header);
  if (icmp.getUint8(0) !== (v4 ? 0 : 129) || icmp.getUint16(4) !== IDENTIFIER) return null;
  return { index: icmp.getUint32(8), by: formatMac(from.subarray(12, 18)) };
}

/** OPTIONS through one connected socket with one source port, like a phone's qualify. */
function openSipProbe(target: ProbeTarget): Probe {
  const address = ipBytes(target.address);
  const fd = openSocket(address.length === 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
  connectSocket(fd, internetAddress(address, 5060));
  const host = address.length === 4 ? target.address : `[${target.address}]`;
  let latest = 0;
  return {
    target,
    fd,
    send(index): void {
      latest = index;
      sendTo(fd, new TextEncoder().encode(optionsRequest(`sip:${host}`, index)), null);
    },
    receive: () =>
      drain(
        fd,
        ({ bytes }) => sipAnswer(new TextDecoder().decode(bytes)),
        (errno) => errno === ECONNREFUSED ? { index: latest, by: null } : null,
      ),
  };
}

function optionsRequest(uri: string, index: number): string {
  return [
    `OPTIONS ${uri} SIP/2.0`,
    `Via: SIP/2.0/UDP observer.invalid:5060;branch=z9hG4bK${IDENTIFIER}-${index};rport`,
    "Max-Forwards: 70",
    `From: <sip:observer@observer.invalid>;tag=${IDENTIFIER}`,
    `To: <${uri}>`,
    `Call-ID: ${index}@observer.invalid`,
    `CSeq: ${index + 1} OPTIONS`,
    "Contact: <sip:observer@observer.invalid>",
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n");
}

/** Any answer is life (the telephony check of the product says the same). */
function sipAnswer(message: string): Answer | null {
  const index = /^Call-ID: (\d+)@observer\.invalid\r$/mi.exec(message)?.[1];
  if (!message.startsWith("SIP/2.0 ") || index === undefined) return null;
  return { index: Number(index), by: /^Server: (.*)\r$/mi.exec(message)?.[1] ?? "SIP" };
}

/** Different sender addresses in turn: a late answer is not taken for one to the next request. */
const ARP_SENDERS = 4;

/** ARP requests to everybody: every holder answers. From .51 to .54: the watcher's, nobody else's. */
function openArpProbe(target: ProbeTarget): Probe {
  const fd = openPacketSocket(target.interfaceName, ETH_P_ARP);
  const broadcast = linkAddress(target.interfaceName, ETH_P_ARP);
  const vip = ipBytes(target.address);
  const sysfs = `/sys/class/net/${target.interfaceName}/address`;
  const mac = Deno.readTextFileSync(sysfs).trim().split(":").map((byte) => parseInt(byte, 16));
  const request = new Uint8Array(28); // RFC 826: Ethernet, IPv4, request
  request.set([0, 1, 8, 0, 6, 4, 0, 1, ...mac, ...vip.subarray(0, 3), 51]);
  request.set(vip, 24);
  const asked: number[] = [];
  return {
    target,
    fd,
    send(index): void {
      request[17] = 51 + index % ARP_SENDERS;
      asked[index % ARP_SENDERS] = index;
      sendTo(fd, request, broadcast);
    },
    receive: () =>
      drain(fd, ({ bytes }) => {
        const reply = bytes.length >= 28 && bytes[7] === 2 && contains(bytes, vip, 14);
        const index = asked[(bytes[27] ?? 0) - 51];
        if (!reply || index === undefined) return null;
        return { index, by: formatMac(bytes.subarray(8, 14)) };
      }),
  };
}

function drain(
  fd: number,
  read: (received: Received) => Answer | null,
  failed: (errno: number) => Answer | null = () => null,
): Answer[] {
  const answers: Answer[] = [];
  for (let taken = 0; taken < 1000; taken++) { // a bound, so that a flood can't stop the sending
    const received = receiveFrom(fd);
    if (received === null) break;
    const answer = typeof received === "number" ? failed(received) : read(received);
    if (answer !== null) answers.push(answer);
  }
  return answers;
}

function contains(bytes: Uint8Array, part: Uint8Array, at: number): boolean {
  return part.every((byte, i) => bytes[at + i] === byte);
}

function formatMac(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
