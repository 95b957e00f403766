/**
 * What an ill-meaning or broken machine on the network sends, for `hostile.ts`. Pseudo-random, but the same
 * in each run.
 *
 *   http ADDRESS PORT COUNT      what is no HTTP, or none that anybody asked for; prints how much was sent
 *   hold ADDRESS PORT COUNT      opens connections, says half a request and keeps them until input ends
 *   listen ADDRESS PORT COUNT    opens GET /events, prints the statuses, reads no more until input ends
 *   impostor PORT BODY ADDRESS…  answers everything at these addresses with that body, and yes to messages,
 *                                with a proof that is none
 *   post URL HEADERS_JSON BODY   one request; prints status and text
 *   raw ADDRESS PORT TEXTS_JSON  each text over a connection of its own; prints what came back until its end
 *   flood ADDRESS PORT SECONDS CONNECTIONS REQUEST   the same request as fast as it goes; prints the
 *                                statuses with how often each came, as JSON
 *   icmp ADDRESS COUNT           echo replies that answer nothing, truncated and wrong ones
 *   arp INTERFACE VIP COUNT      ARP frames with wrong lengths and types that speak for the VIP
 *   packets ADDRESS PER_SECOND echo|udp   echo requests, or UDP to a closed port, until it is ended
 *
 * @module
 */

import { internetChecksum } from "../../src/os/internet_checksum.ts";
import { ipBytes } from "../../src/os/ip_bytes.ts";
import {
  AF_INET,
  ETH_P_ARP,
  internetAddress,
  linkAddress,
  openPacketSocket,
  openSocket,
  sendTo,
  SOCK_DGRAM,
  SOCK_RAW,
  waitReadable,
} from "./blocking_socket.ts";

let seed = 0x2545f491;

/** xorshift32; 0 to 255. */
function randomByte(): number {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return seed & 0xff;
}

function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, randomByte);
}

/** Nothing that a user of relais sends; each must cost the server a connection at most. */
const NO_REQUESTS: readonly Uint8Array<ArrayBuffer>[] = [
  randomBytes(400),
  new Uint8Array(),
  bytesOf("\r\n\r\n\r\n"),
  bytesOf("GET\r\n\r\n"),
  bytesOf(`GET /${"a".repeat(100_000)} HTTP/1.1\r\n\r\n`),
  bytesOf(`GET / HTTP/1.1\r\n${"X-A: b\r\n".repeat(20_000)}\r\n`),
  bytesOf("POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n{"),
  bytesOf("POST /peer/message HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n{}"),
  bytesOf("GET /no-such-page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
  bytesOf("DELETE /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
  bytesOf("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), // the beginning of TLS
];

async function http(hostname: string, port: number, count: number): Promise<void> {
  let sent = 0;
  for (let i = 0; i < count; i++) {
    try {
      using connection = await Deno.connect({ hostname, port });
      await connection.write(NO_REQUESTS[i % NO_REQUESTS.length]!);
      sent++;
    } catch {
      // Refused or reset: an answer, too.
    }
  }
  console.log(sent);
}

async function hold(hostname: string, port: number, count: number): Promise<void> {
  const connections: Deno.TcpConn[] = [];
  for (let i = 0; i < count; i++) {
    const connection = await Deno.connect({ hostname, port });
    await connection.write(bytesOf("GET /health HTTP/1.1\r\nHost: a\r\n"));
    connections.push(connection);
  }
  console.log(connections.length);
  await Deno.stdin.read(new Uint8Array(1));
  for (const connection of connections) connection.close();
}

async function listen(hostname: string, port: number, count: number): Promise<void> {
  const connections: Deno.TcpConn[] = [];
  const statuses: number[] = [];
  for (let i = 0; i < count; i++) {
    const connection = await Deno.connect({ hostname, port });
    await connection.write(bytesOf("GET /events HTTP/1.1\r\nHost: a\r\n\r\n"));
    const buffer = new Uint8Array(12);
    let have = 0;
    while (have < buffer.length) have += await connection.read(buffer.subarray(have)) ?? Infinity;
    statuses.push(Number(new TextDecoder().decode(buffer).slice(9)));
    connections.push(connection);
  }
  console.log(JSON.stringify(statuses));
  await Deno.stdin.read(new Uint8Array(1));
  for (const connection of connections) connection.close();
}

function impostor(port: number, body: string, addresses: readonly string[]): void {
  for (const hostname of addresses) {
    Deno.serve({ hostname, port, onListen: () => {} }, (request) => {
      const text = request.method === "POST" ? '{"accepted":true,"text":"taking over"}' : body;
      const headers = { "Content-Type": "application/json", "X-Relais-Proof": "0".repeat(64) };
      // The probe of relais reads no chunks.
      return new Response(new TextEncoder().encode(text), { headers });
    });
  }
}

async function post(url: string, headers: string, body: string): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: JSON.parse(headers) as Record<string, string>,
    body,
  });
  console.log(JSON.stringify({ status: response.status, text: await response.text() }));
}

/** Longest wait for the end of one answer. */
const RAW_MS = 15_000;

async function raw(hostname: string, port: number, texts: readonly string[]): Promise<void> {
  const answers = await Promise.all(texts.map(async (text) => {
    let answer = "";
    try {
      using connection = await Deno.connect({ hostname, port });
      const timer = setTimeout(() => connection.close(), RAW_MS);
      try {
        await connection.write(bytesOf(text));
        await connection.closeWrite();
        const buffer = new Uint8Array(65_536);
        for (let n; (n = await connection.read(buffer)) !== null;) {
          answer += new TextDecoder().decode(buffer.subarray(0, n));
        }
      } finally {
        clearTimeout(timer);
      }
    } catch {
      // Refused, reset, or closed by the timer: what came until then counts.
    }
    return answer;
  }));
  console.log(JSON.stringify(answers));
}

async function flood(
  { hostname, port, seconds, connections, request }: {
    readonly hostname: string;
    readonly port: number;
    readonly seconds: number;
    readonly connections: number;
    readonly request: string;
  },
): Promise<void> {
  const until = performance.now() + seconds * 1000;
  const statuses: Record<string, number> = {};
  const add = (status: string): void => void (statuses[status] = (statuses[status] ?? 0) + 1);
  const batch = bytesOf(request.repeat(20));
  const one = async (): Promise<void> => {
    const buffer = new Uint8Array(65_536);
    const connection = await Deno.connect({ hostname, port });
    let isOpen = true;
    const close = (): void => {
      if (isOpen) connection.close();
      isOpen = false;
    };
    const timer = setTimeout(close, Math.max(1, until - performance.now()));
    try {
      for (;;) {
        await connection.write(batch);
        let answers = 0;
        while (answers < 20) {
          const n = await connection.read(buffer);
          if (n === null) return;
          const text = new TextDecoder().decode(buffer.subarray(0, n));
          for (const [, status = ""] of text.matchAll(/HTTP\/1\.1 (\d{3}) /g)) {
            answers++;
            add(status);
          }
        }
      }
    } finally {
      clearTimeout(timer);
      close();
    }
  };
  await Promise.all(Array.from({ length: connections }, async () => {
    while (performance.now() < until) await one().catch(() => add("cut"));
  }));
  console.log(JSON.stringify(statuses));
}

function icmp(address: string, count: number): void {
  const fd = openSocket(AF_INET, SOCK_RAW, 1);
  const to = internetAddress(ipBytes(address), 0);
  for (let i = 0; i < count; i++) {
    const message = randomBytes(i % 40 + 1);
    message[0] = i % 4 === 0 ? randomByte() : 0; // mostly echo replies
    if (message[0] === 8) message[0] = 0; // no echo requests: the kernel would answer them
    if (message.length >= 8) {
      const view = new DataView(message.buffer);
      view.setUint8(1, 0);
      view.setUint16(2, 0);
      view.setUint16(2, internetChecksum(message));
    }
    sendTo(fd, message, to);
    if (i % 100 === 99) waitReadable([], 5); // 20,000 a second
  }
}

function packets(address: string, perSecond: number, what: string): never {
  const udp = what === "udp";
  const fd = udp ? openSocket(AF_INET, SOCK_DGRAM, 0) : openSocket(AF_INET, SOCK_RAW, 1);
  const to = internetAddress(ipBytes(address), udp ? 9 : 0);
  const message = randomBytes(udp ? 900 : 64);
  if (!udp) {
    message.fill(0, 0, 8);
    message[0] = 8; // echo request
    new DataView(message.buffer).setUint16(2, internetChecksum(message));
  }
  const EVERY_MS = 10;
  while (true) {
    for (let n = 0; n < perSecond * EVERY_MS / 1000; n++) sendTo(fd, message, to);
    waitReadable([], EVERY_MS);
  }
}

function arp(interfaceName: string, vip: string, count: number): void {
  const fd = openPacketSocket(interfaceName, ETH_P_ARP);
  const broadcast = linkAddress(interfaceName, ETH_P_ARP);
  const address = ipBytes(vip);
  const sane = new Uint8Array([0, 1, 8, 0, 6, 4, 0, 2, ...randomBytes(6), ...address]);
  for (let i = 0; i < count; i++) {
    const frame = new Uint8Array(28);
    frame.set(sane);
    frame.set(address, 24);
    const kind = i % 6;
    if (kind === 0) frame[4] = 8; // hardware addresses longer than they are
    if (kind === 1) frame[5] = 16;
    if (kind === 2) frame[1] = 7; // neither Ethernet nor IEEE 802, which Linux takes for it
    if (kind === 3) frame[2] = 0x86; // no IPv4
    if (kind === 4) frame[7] = 200; // no such operation
    // Truncated ones of each length from 0 to 27.
    sendTo(fd, kind === 5 ? frame.slice(0, i / 6 % 28) : frame, broadcast);
    if (i % 100 === 99) waitReadable([], 5);
  }
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

const [kind, ...args] = Deno.args as [string, ...string[]];
const number = (i: number): number => Number(args[i]);
const text = (i: number): string => args[i] ?? "";
if (kind === "http") await http(text(0), number(1), number(2));
else if (kind === "hold") await hold(text(0), number(1), number(2));
else if (kind === "listen") await listen(text(0), number(1), number(2));
else if (kind === "impostor") impostor(number(0), text(1), args.slice(2));
else if (kind === "post") await post(text(0), text(1), text(2));
else if (kind === "raw") await raw(text(0), number(1), JSON.parse(text(2)) as string[]);
else if (kind === "flood") {
  await flood({
    hostname: text(0),
    port: number(1),
    seconds: number(2),
    connections: number(3),
    request: text(4),
  });
} else if (kind === "icmp") icmp(text(0), number(1));
else if (kind === "arp") arp(text(0), text(1), number(2));
else if (kind === "packets") packets(text(0), number(1), text(2));
else {throw new Error(
    `Cannot send "${kind}" as it is not known: http, hold, listen, impostor, post, raw, flood, icmp, arp, packets`,
  );}
