/**
 * Sends what the fuzzer makes over real wires, from a machine of the lab; prints how much was sent. The same
 * seed, the same bytes.
 *
 *   http ADDRESS PORT SEED COUNT   requests, each over a connection of its own, some of them in pieces
 *   icmp ADDRESS SEED COUNT        ICMP messages
 *   arp INTERFACE SEED COUNT       ARP frames without their Ethernet header, which the kernel writes
 *
 * @module
 */

import { TARGETS } from "../fuzz/catalogue.ts";
import { chunksOf } from "../fuzz/bytes.ts";
import { Source } from "../fuzz/engine.ts";
import { Random } from "../fuzz/random.ts";
import { ipBytes } from "../../src/os/ip_bytes.ts";
import {
  AF_INET,
  ETH_P_ARP,
  internetAddress,
  linkAddress,
  openPacketSocket,
  openSocket,
  sendTo,
  SOCK_RAW,
  waitReadable,
} from "./blocking_socket.ts";

const ICMP_ECHO_REQUEST = 8;
/** How long an answer is waited for: what is unfinished has none. */
const ANSWER_MS = 40;

async function sourceOf(name: string): Promise<Source> {
  return await Source.of(TARGETS.find((target) => target.name === name)!);
}

async function http(hostname: string, port: number, seed: number, count: number): Promise<void> {
  const source = await sourceOf("http-request");
  let sent = 0;
  for (let i = 0; i < count; i++) {
    const input = source.input(seed, i);
    const random = new Random(`${seed}/${i}`);
    const chunks = random.oneIn(3) ? chunksOf(input, random).slice(0, 20) : [input];
    try {
      using connection = await Deno.connect({ hostname, port });
      for (const chunk of chunks) await connection.write(chunk);
      const late = new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
      const answer = connection.read(new Uint8Array(65_536)).catch(() => null);
      await Promise.race([answer, late]);
    } catch {
      // Refused or reset: as good as an answer.
    }
    sent++;
  }
  console.log(sent);
}

async function icmp(address: string, seed: number, count: number): Promise<void> {
  const source = await sourceOf("icmp");
  const fd = openSocket(AF_INET, SOCK_RAW, 1);
  const to = internetAddress(ipBytes(address), 0);
  for (let i = 0; i < count; i++) {
    const message = new Uint8Array(source.input(seed, i).slice(0, 1400));
    // The kernel would answer requests; they are none of relais'.
    if (message[0] === ICMP_ECHO_REQUEST) message[0] = 0;
    if (message.length > 0) sendTo(fd, message, to);
    if (i % 100 === 99) waitReadable([], 5);
  }
  console.log(count);
}

async function arp(interfaceName: string, seed: number, count: number): Promise<void> {
  const source = await sourceOf("arp");
  const fd = openPacketSocket(interfaceName, ETH_P_ARP);
  const broadcast = linkAddress(interfaceName, ETH_P_ARP);
  for (let i = 0; i < count; i++) {
    const packet = new Uint8Array(source.input(seed, i).slice(14, 1500));
    // Who claims an address well enough for the kernels of telephones is no fuzzer but a second holder: the
    // addresses become ones that nobody has.
    if (packet.length >= 28) [14, 24].forEach((at) => packet.set([10, 255], at));
    sendTo(fd, packet, broadcast);
    if (i % 100 === 99) waitReadable([], 5);
  }
  console.log(count);
}

const [kind, ...args] = Deno.args as [string, ...string[]];
const number = (i: number): number => Number(args[i]);
const text = (i: number): string => args[i] ?? "";
if (kind === "http") await http(text(0), number(1), number(2), number(3));
else if (kind === "icmp") await icmp(text(0), number(1), number(2));
else if (kind === "arp") await arp(text(0), number(1), number(2));
else throw new Error(`Cannot send "${kind}" as it is not known: http, icmp, arp`);
