/**
 * Classic BPF programs for packet sockets (SO_ATTACH_FILTER of socket(7)): the kernel drops the frames
 * that are none of our business before they wake the daemon, so that neither calls nor a busy network
 * cost anything. They are a saving, not a check: the decoders check everything that is let through.
 *
 * @module
 */

import { ipBytes } from "../os/ip_bytes.ts";
import { ARP_FRAME_LENGTH, SPA_OFFSET } from "./frame.ts";
import { ETHERNET_HEADER } from "./ethernet.ts";
import { ICMPV6_TYPE_OFFSET, ND_TYPES, NEXT_HEADER_OFFSET } from "./neighbour.ts";
import { IPPROTO_ICMPV6 } from "../os/internet_checksum.ts";

/** `struct sock_filter { u16 code; u8 jt; u8 jf; u32 k; }`; the jumps are relative, to be taken. */
export interface BpfInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

// Opcodes of <linux/bpf_common.h>.
const LOAD_WORD = 0x20;
const LOAD_BYTE = 0x30;
const LOAD_LENGTH = 0x80;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const RETURN = 0x06;

/** Returned by a program: keep this many bytes of the frame; 0 drops it. */
const KEEP = 0xffff;

/** Frames that are let through at most compare with this many addresses (jumps have 8 bits). */
const MAX_FILTER_ADDRESSES = 200;

function load(code: number, k: number): BpfInstruction {
  return { code, jt: 0, jf: 0, k };
}

/**
 * Lets through ARP packets whose sender address (`ar$spa`) is one of `addresses`, and whatever is not
 * shaped like an ARP packet for IPv4 on Ethernet, so that garbage can be counted.
 *
 * @throws {RangeError} for more than {@linkcode MAX_FILTER_ADDRESSES}
 */
export function arpFilter(addresses: readonly string[]): BpfInstruction[] {
  const count = addresses.length;
  if (count > MAX_FILTER_ADDRESSES) {
    throw new RangeError(
      `Cannot filter ${count} addresses as ${MAX_FILTER_ADDRESSES} is the limit`,
    );
  }
  const words = addresses.map((address) => new DataView(ipBytes(address).buffer).getUint32(0));
  // Distance from an instruction at `index` to the last one, which keeps the frame.
  const last = 9 + count;
  const toKeep = (index: number): number => last - index - 1;
  return [
    load(LOAD_LENGTH, 0),
    { code: JUMP_AT_LEAST, jt: 0, jf: toKeep(1), k: ARP_FRAME_LENGTH },
    load(LOAD_WORD, ETHERNET_HEADER), // ar$hrd, ar$pro
    { code: JUMP_EQUAL, jt: 0, jf: toKeep(3), k: 0x00010800 },
    load(LOAD_WORD, ETHERNET_HEADER + 4), // ar$hln, ar$pln, ar$op
    { code: JUMP_EQUAL, jt: 1, jf: 0, k: 0x06040001 },
    { code: JUMP_EQUAL, jt: 0, jf: toKeep(6), k: 0x06040002 },
    load(LOAD_WORD, SPA_OFFSET),
    ...words.map((k, i) => ({ code: JUMP_EQUAL, jt: toKeep(8 + i), jf: 0, k })),
    load(RETURN, 0),
    load(RETURN, KEEP),
  ];
}

/** Lets through IPv6 packets that are neighbour solicitations or advertisements. */
export function neighbourFilter(): BpfInstruction[] {
  const [first = 0, second = 0] = ND_TYPES;
  return [
    load(LOAD_BYTE, NEXT_HEADER_OFFSET),
    { code: JUMP_EQUAL, jt: 0, jf: 3, k: IPPROTO_ICMPV6 },
    load(LOAD_BYTE, ICMPV6_TYPE_OFFSET),
    { code: JUMP_EQUAL, jt: 2, jf: 0, k: first },
    { code: JUMP_EQUAL, jt: 1, jf: 0, k: second },
    load(RETURN, 0),
    load(RETURN, KEEP),
  ];
}

/** The program as an array of `struct sock_filter`. */
export function encodeBpf(program: readonly BpfInstruction[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(program.length * 8));
  const view = new DataView(bytes.buffer);
  program.forEach(({ code, jt, jf, k }, i) => {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, jt);
    view.setUint8(i * 8 + 3, jf);
    view.setUint32(i * 8 + 4, k, true);
  });
  return bytes;
}
