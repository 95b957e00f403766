/**
 * Asks one host, by its Ethernet address, for a VIP again and again, and hears every frame in which that
 * host speaks for it: harder on the host than a telephone, which asks whom its ARP table names. For
 * `vip_ear.ts`; prints one JSON line per frame heard, with the time in ms since 1970.
 *
 * Arguments: interface, MAC of the host, VIP (IPv4), own IPv4 address, ms between two questions (0: none).
 * Ends with its standard input.
 *
 * @module
 */

import { internetChecksum } from "../../src/os/internet_checksum.ts";
import { ipBytes } from "../../src/os/ip_bytes.ts";
import {
  ETH_P_ARP,
  ETH_P_IP,
  linkAddress,
  openPacketSocket,
  receiveFrom,
  sendTo,
  waitReadable,
} from "./blocking_socket.ts";
import type { Heard } from "./vip_ear.ts";

const [interfaceName = "eth0", mac = "", vipText = "", ownText = "", every = "1"] = Deno.args;
const everyMs = Number(every);
const vip = ipBytes(vipText);
const own = ipBytes(ownText);
const target = Uint8Array.from(mac.split(":"), (byte) => parseInt(byte, 16));
const ownMac = Uint8Array.from(
  Deno.readTextFileSync(`/sys/class/net/${interfaceName}/address`).trim().split(":"),
  (byte) => parseInt(byte, 16),
);

const arp = openPacketSocket(interfaceName, ETH_P_ARP);
const ip = openPacketSocket(interfaceName, ETH_P_IP);
const toArp = linkAddress(interfaceName, ETH_P_ARP, target);
const toIp = linkAddress(interfaceName, ETH_P_IP, target);

const question = new Uint8Array(28); // RFC 826: Ethernet, IPv4, request
question.set([0, 1, 8, 0, 6, 4, 0, 1, ...ownMac, ...own]);
question.set(vip, 24);
const echo = echoRequest();

print({ ready: true });
const input = new Uint8Array(64);
let next = performance.now();
while (true) {
  const now = performance.now();
  if (everyMs > 0 && now >= next) {
    // What a moment without processor time missed is not made up for: it would be a flood.
    next = Math.max(next + everyMs, now);
    sendTo(arp, question, toArp);
    sendTo(ip, echo, toIp);
  }
  const pauseMs = everyMs > 0 ? Math.max(0, next - performance.now()) : 100;
  const readable = waitReadable([0, arp, ip], pauseMs);
  if (readable.includes(0) && Deno.stdin.readSync(input) === null) break;
  drain(arp, (bytes) => {
    if (bytes.length < 28 || !has(bytes, target, 8) || !has(bytes, vip, 14)) return null;
    return has(bytes, vip, 24) ? "announcement" : "arp";
  });
  drain(ip, (bytes, from) => has(from, target, 12) && has(bytes, vip, 12) ? "ip" : null);
}

function drain(
  fd: number,
  kindOf: (bytes: Uint8Array, from: Uint8Array) => Heard["kind"] | null,
): void {
  for (let taken = 0; taken < 1000; taken++) {
    const received = receiveFrom(fd);
    if (received === null || typeof received === "number") return;
    const kind = kindOf(received.bytes, received.from);
    if (kind !== null) print({ kind, atMs: performance.timeOrigin + performance.now() });
  }
}

/** An ICMP echo request from us to the VIP. */
function echoRequest(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(36);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x45);
  view.setUint16(2, bytes.length);
  view.setUint8(8, 64);
  view.setUint8(9, 1);
  bytes.set(own, 12);
  bytes.set(vip, 16);
  view.setUint16(10, internetChecksum(bytes.slice(0, 20)));
  view.setUint8(20, 8);
  view.setUint16(22, internetChecksum(bytes.slice(20)));
  return bytes;
}

function has(bytes: Uint8Array, part: Uint8Array, at: number): boolean {
  return part.every((byte, i) => bytes[at + i] === byte);
}

function print(value: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
}
