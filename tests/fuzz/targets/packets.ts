/**
 * Parsers of packets: ARP, neighbour discovery, ICMP, SIP, netlink, socket addresses.
 *
 * @module
 */

import { arpFilter, type BpfInstruction, neighbourFilter } from "../../../src/arp/bpf.ts";
import * as arp from "../../../src/arp/frame.ts";
import { parseMac } from "../../../src/arp/mac.ts";
import * as nd from "../../../src/arp/neighbour.ts";
import { addressProtocol } from "../../../src/arp/protocol.ts";
import { VipWatch } from "../../../src/arp/watch.ts";
import * as icmp from "../../../src/heartbeat/icmp_frame.ts";
import { icmpv6Checksum, internetChecksum } from "../../../src/os/internet_checksum.ts";
import { canonicalIp } from "../../../src/os/ip_bytes.ts";
import { decodeSocketAddress, encodeSocketAddress } from "../../../src/os/socket_address.ts";
import * as sip from "../../../src/services/sip_message.ts";
import { decodeAcknowledgement, encodeLifetime } from "../../../src/vip/extend.ts";
import { bytesOf, concat, textOf } from "../bytes.ts";
import type { Random } from "../random.ts";
import { mustEqual, mustHold, orRefused, stateless, type Subject, type Target } from "../target.ts";

const OWN = "02:00:5e:10:00:01";
const PEER = "02:00:5e:10:00:02";
const VIP = "10.20.0.10";
const PEER_IP = "10.20.0.12";
const VIP6 = "fd00::10";
const PEER_IP6 = "fd00::12";

function arpFrames(): Uint8Array[] {
  const own = { mac: OWN, ip: PEER_IP };
  const frames = [
    arp.arpProbe({ mac: PEER, ip: VIP }),
    arp.arpRequest({ mac: PEER, ip: PEER_IP }, VIP),
    arp.gratuitousRequest({ mac: PEER, ip: VIP }),
    arp.gratuitousReply({ mac: PEER, ip: VIP }),
    arp.arpReplyTo({ mac: PEER, ip: VIP }, own),
  ];
  // As the wire pads them.
  return [...frames, ...frames.map((frame) => concat(frame, new Uint8Array(18)))];
}

function neighbourFrames(): Uint8Array[] {
  return [
    nd.neighbourProbe({ mac: PEER, ip: VIP6 }),
    nd.neighbourSolicitation({ mac: PEER, ip: PEER_IP6 }, VIP6),
    nd.neighbourAdvertisement({ mac: PEER, ip: VIP6 }),
    nd.neighbourAdvertisement({ mac: PEER, ip: VIP6 }, { mac: OWN, ip: "fd00::11" }),
  ];
}

/** Runs a classic BPF program as the kernel would (only the instructions that `bpf.ts` uses). */
function keeps(program: readonly BpfInstruction[], frame: Uint8Array): boolean {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let register = 0;
  for (let at = 0; at < program.length; at++) {
    const { code, jt, jf, k } = program[at]!;
    if (code === 0x80) register = frame.length;
    else if (code === 0x20) {
      if (k + 4 > frame.length) return false;
      register = view.getUint32(k);
    } else if (code === 0x30) {
      if (k >= frame.length) return false;
      register = view.getUint8(k);
    } else if (code === 0x15) at += register === k ? jt : jf;
    else if (code === 0x35) at += register >= k ? jt : jf;
    else if (code === 0x06) return k !== 0;
  }
  throw new Error("the filter has no end");
}

const ARP_FILTER = arpFilter([VIP, PEER_IP]);
const ND_FILTER = neighbourFilter();

const arpTarget = stateless({
  name: "arp",
  files: ["arp/frame.ts", "arp/mac.ts", "arp/bpf.ts"],
  weight: 30,
  maxBytes: 1600,
  corpus: arpFrames,
  feed(frame): boolean {
    const packet = arp.decodeArp(frame);
    if (packet === null) return false;
    for (const mac of [packet.sha, packet.tha]) mustHold(parseMac(mac) !== null, `MAC ${mac}`);
    for (const ip of [packet.spa, packet.tpa]) mustEqual(canonicalIp(ip), ip, "canonical address");
    const again = arp.encodeArp(packet, OWN).subarray(12);
    mustEqual(frame.subarray(12, 42), again, "encoded again");
    if (packet.spa === VIP || packet.spa === PEER_IP) {
      mustHold(keeps(ARP_FILTER, frame), "the kernel's filter drops what the decoder accepts");
    }
    return true;
  },
});

/** IPv6 payload length and ICMPv6 checksum put right. */
function mendNeighbour(frame: Uint8Array<ArrayBuffer>): Uint8Array {
  if (frame.length < 14 + 40 + 4) return frame;
  const view = new DataView(frame.buffer);
  view.setUint16(14 + 4, frame.length - 54);
  view.setUint16(54 + 2, 0);
  const addresses = { source: frame.subarray(22, 38), destination: frame.subarray(38, 54) };
  view.setUint16(54 + 2, icmpv6Checksum(addresses, frame.subarray(54)));
  return frame;
}

const neighbourTarget = stateless({
  name: "neighbour",
  files: ["arp/neighbour.ts", "os/ip_bytes.ts"],
  weight: 30,
  maxBytes: 1600,
  corpus: neighbourFrames,
  mend: mendNeighbour,
  feed(frame): boolean {
    const message = nd.decodeNeighbour(frame);
    if (message === null) return false;
    for (const ip of [message.source, message.destination, message.target]) {
      mustEqual(canonicalIp(ip), ip, "canonical address");
    }
    mustHold(parseMac(message.mac) !== null, `MAC ${message.mac}`);
    mustHold((parseMac(message.mac)![0]! & 1) === 0, "no host has a group's MAC");
    if (message.kind === "solicitation") {
      mustHold(!message.solicited && !message.override, "flags of a solicitation");
    }
    mustHold(keeps(ND_FILTER, frame), "the kernel's filter drops what the decoder accepts");
    return true;
  },
});

/** The receiver behind both: what it keeps of a flood of hostile frames. */
const watchTarget: Target = {
  name: "vip-watch",
  files: ["arp/watch.ts", "arp/protocol.ts"],
  weight: 20,
  maxBytes: 200,
  corpus: () => [...arpFrames(), ...neighbourFrames()],
  mend(frame, random): Uint8Array {
    // Another Ethernet address each time, as a flood has them.
    if (frame.length >= 28 && random.oneIn(2)) frame.set(random.bytes(5), 23);
    return frame.length > 60 ? mendNeighbour(frame) : frame;
  },
  open(): Subject {
    const protocols = [addressProtocol(4, OWN), addressProtocol(6, OWN)];
    const vips = [VIP, VIP6];
    const options = { network: "voip", vips, peerAddress: PEER_IP, ownMacs: [OWN] };
    const watch = new VipWatch(options);
    let at = 0;
    return {
      feed(frame, random): boolean {
        at += random.below(50);
        if (random.oneIn(100)) watch.setHeld(new Set(random.oneIn(2) ? [VIP] : []));
        if (random.oneIn(10)) watch.probed(VIP, at);
        if (random.oneIn(1000)) watch.discard();
        let heard = false;
        for (const protocol of protocols) {
          const claim = protocol.decode(frame);
          if (claim === null || claim === "silent") continue;
          heard = true;
          const answer = watch.heard(claim, at);
          if (answer === null || answer === "own") continue;
          mustHold(watch.held.has(answer.vip), "an answer for a VIP that is not held");
          mustHold(answer.mac !== OWN, "our own frame reported as another's");
        }
        for (const { lastAnswerMac, unansweredProbes } of watch.evidence(at)) {
          mustHold(lastAnswerMac !== OWN, "our own frame is no evidence");
          mustHold(unansweredProbes >= 0, "probes without answer are counted from 0");
        }
        return heard;
      },
      sizes: () => ({ VIPs: [watch.evidence(at).length, 2] }),
    };
  },
};

function echoes(): Uint8Array[] {
  const payload = bytesOf("12345678relais\0\0");
  const echo = { identifier: 0x1234, sequence: 7, payload };
  const v4 = [icmp.encodeEchoRequest(4, echo), icmp.encodeEchoReply(4, echo)];
  const v6 = [icmp.encodeEchoRequest(6, echo), icmp.encodeEchoReply(6, echo)];
  const header = new Uint8Array(20);
  header.set([0x45, 0, 0, 20 + v4[1]!.length, 0, 0, 0x40, 0, 64, 1]);
  return [...v4, ...v6, ...v4.map((message) => concat(header, message))];
}

function mendEcho(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  const at = bytes.length > 28 && bytes[0]! >> 4 === 4 ? (bytes[0]! & 15) * 4 : 0;
  if (bytes.length < at + 8) return bytes;
  const view = new DataView(bytes.buffer);
  if (at > 0) view.setUint16(2, bytes.length);
  view.setUint16(at + 2, 0);
  view.setUint16(at + 2, internetChecksum(bytes.subarray(at)));
  return bytes;
}

const icmpTarget = stateless({
  name: "icmp",
  files: ["heartbeat/icmp_frame.ts"],
  weight: 30,
  maxBytes: 1600,
  corpus: echoes,
  mend: mendEcho,
  feed(bytes): boolean {
    let accepted = false;
    const inner = icmp.icmpOfIpv4Packet(bytes);
    if (inner !== null) {
      mustHold(inner.length <= bytes.length - 20, "more than the packet holds");
      accepted = true;
    }
    for (const message of inner === null ? [bytes] : [bytes, inner]) {
      for (const family of [4, 6] as const) {
        const echo = icmp.decodeEcho(family, message);
        if (echo === null) continue;
        accepted = true;
        mustEqual(echo.payload.length, message.length - 8, "payload");
        const again = echo.kind === "reply"
          ? icmp.encodeEchoReply(family, echo)
          : icmp.encodeEchoRequest(family, echo);
        const plain = (bytes: Uint8Array): Uint8Array => {
          const copy = new Uint8Array(bytes);
          copy.fill(0, 2, 4); // Checksums: 0 and 0xffff are the same; IPv6 leaves them to the kernel.
          return copy;
        };
        mustEqual(plain(again), plain(message), "encoded again");
      }
    }
    return accepted;
  },
});

const REQUEST: sip.OptionsRequest = {
  host: "127.0.0.1",
  port: 5060,
  localPort: 40_000,
  branch: "abcdef0123456789",
  callId: "0123456789abcdef@relais",
  tag: "t4g",
};

function responses(): Uint8Array[] {
  const lines = (via: string, ...more: readonly string[]): Uint8Array =>
    bytesOf([
      "SIP/2.0 200 OK",
      via,
      "From: <sip:relais@127.0.0.1>;tag=t4g",
      "To: <sip:127.0.0.1:5060>;tag=as1",
      `Call-ID: ${REQUEST.callId}`,
      "CSeq: 1 OPTIONS",
      ...more,
      "Content-Length: 0",
      "",
      "",
    ].join("\r\n"));
  const branch = `branch=z9hG4bK${REQUEST.branch}`;
  return [
    lines(`Via: SIP/2.0/UDP 127.0.0.1:40000;rport=40000;${branch};received=127.0.0.1`),
    lines(
      `v: SIP/2.0/UDP 127.0.0.1:40000 ;\r\n ${branch}, SIP/2.0/TCP x;branch=y`,
      "Allow: INVITE",
    ),
    bytesOf(`SIP/2.0 404 Not Found\r\ni: ${REQUEST.callId}\r\nVia: x;${branch}\r\n\r\nv=0\r\n`),
    sip.encodeOptions(REQUEST),
  ];
}

const sipTarget = stateless({
  name: "sip-answer",
  files: ["services/sip_message.ts", "services/sip_client.ts"],
  weight: 30,
  maxBytes: 9000,
  corpus: responses,
  words: ["SIP/2.0 ", "Via:", "v:", "Call-ID:", "i:", ";branch=", "z9hG4bK", "\r\n", "\r\n ", ","]
    .concat(["\r\n\r\n", ";", "=", " 200 ", " 699", "Content-Length:", "branch"]),
  feed(bytes): boolean {
    const response = sip.parseResponse(bytes);
    if (response === null) return false;
    const { status, branch, callId } = response;
    mustHold(status >= 100 && status <= 699, `status ${status}`);
    mustHold(!/[;\s]/.test(branch), "a branch ends at ; and spaces");
    mustHold(branch.length + callId.length <= sip.MAX_SIP_BYTES, "longer than what is read");
    if (sip.answers(response, REQUEST)) {
      const text = textOf(bytes);
      mustHold(text.includes(REQUEST.callId), "an answer without our Call-ID");
      mustHold(text.includes(REQUEST.branch), "an answer without our branch");
    }
    // What follows the head says nothing.
    const end = textOf(bytes.subarray(0, 8000)).indexOf("\r\n\r\n");
    if (end >= 0 && bytes.length < 8000) {
      mustEqual(sip.parseResponse(concat(bytes, bytesOf("\r\nVia: x"))), response, "with a body");
    }
    return true;
  },
});

const netlinkTarget = stateless({
  name: "netlink-ack",
  files: ["vip/extend.ts"],
  weight: 5,
  maxBytes: 300,
  corpus(): Uint8Array[] {
    const ack = (errno: number): Uint8Array => {
      const bytes = new Uint8Array(36);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, 36, true);
      view.setUint16(4, 2, true);
      view.setUint32(8, 7, true);
      view.setInt32(16, -errno, true);
      return bytes;
    };
    const label = { index: 2, address: VIP, label: "eth0:relais", seconds: 10 };
    return [ack(0), ack(99), encodeLifetime(label, 7)];
  },
  feed(bytes): boolean {
    const errno = decodeAcknowledgement(bytes, 7);
    if (errno === null) return false;
    mustHold(Number.isSafeInteger(errno), `errno ${errno}`);
    mustEqual(decodeAcknowledgement(bytes, 8), null, "of another question");
    return true;
  },
});

const addressTarget = stateless({
  name: "socket-address",
  files: ["os/socket_address.ts"],
  weight: 5,
  maxBytes: 64,
  corpus: () =>
    [new Uint8Array([10, 0, 0, 1]), new Uint8Array(16).fill(7)]
      .map((address) => encodeSocketAddress({ address, port: 5060 })),
  feed(bytes): boolean {
    const found = orRefused(() => decodeSocketAddress(bytes), TypeError);
    if (found === null) return false;
    const { address, port } = found.value;
    mustHold(address.length === 4 || address.length === 16, `${address.length} bytes of address`);
    mustEqual(
      decodeSocketAddress(encodeSocketAddress({ address, port })),
      { address, port },
      "again",
    );
    return true;
  },
});

/** All of them. */
export const PACKET_TARGETS: readonly Target[] = [
  arpTarget,
  neighbourTarget,
  watchTarget,
  icmpTarget,
  sipTarget,
  netlinkTarget,
  addressTarget,
];

/** A frame of the corpus with noise, for the tests on real wires. */
export function hostileFrame(random: Random): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(random.pick(arpFrames()));
  for (let i = random.below(6); i > 0; i--) frame[random.below(frame.length)] = random.next();
  return random.oneIn(3) ? frame.slice(0, 14 + random.below(frame.length - 14)) : frame;
}
