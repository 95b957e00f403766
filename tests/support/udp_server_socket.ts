/**
 * A UDP server socket on every address that answers *from the address that was asked*: with a VIP beside
 * the host's own address the kernel would otherwise choose the host's own for clients on the same network
 * (ip(7), IP_PKTINFO; ipv6(7), IPV6_PKTINFO).
 *
 * @module
 */

import { AF_INET, AF_INET6, openSocket, setOption, SOCK_DGRAM } from "./blocking_socket.ts";

const libc = Deno.dlopen("libc.so.6", {
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "isize" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "isize" },
}).symbols;

const MSG_DONTWAIT = 0x40;
const IPPROTO_IP = 0;
const IP_PKTINFO = 8;
const IPPROTO_IPV6 = 41;
const IPV6_RECVPKTINFO = 49;
const IPV6_V6ONLY = 26;

/** One request and the way back. */
export interface Request {
  readonly text: string;
  /** Answers from the address that was asked to the one that asked. */
  readonly reply: (text: string) => void;
}

/** A bound socket. */
export interface UdpServerSocket {
  readonly fd: number;
  /** The next request, or null when there is none now. */
  readonly receive: () => Request | null;
}

/**
 * Binds `[::]:port` or `0.0.0.0:port`.
 *
 * @throws {Error} when the port is taken
 */
export function openUdpServer(family: 4 | 6, port: number): UdpServerSocket {
  const v4 = family === 4;
  const fd = openSocket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
  const on = new Uint8Array([1, 0, 0, 0]);
  if (v4) setOption(fd, { level: IPPROTO_IP, name: IP_PKTINFO, value: on });
  else {
    setOption(fd, { level: IPPROTO_IPV6, name: IPV6_V6ONLY, value: on });
    setOption(fd, { level: IPPROTO_IPV6, name: IPV6_RECVPKTINFO, value: on });
  }
  const address = new Uint8Array(v4 ? 16 : 28);
  const view = new DataView(address.buffer);
  view.setUint16(0, v4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  if (libc.bind(fd, address, address.length) !== 0) {
    throw new Error(`Cannot listen on UDP port ${port} (IPv${family}) as it is taken`);
  }
  return { fd, receive: () => receive(fd) };
}

function receive(fd: number): Request | null {
  // Referred to by address only in `header`: the reply holds on to this object for their sake.
  const parts = {
    name: new Uint8Array(28),
    data: new Uint8Array(4096),
    control: new Uint8Array(64),
  };
  const { header, iovec } = messageHeader(parts);
  const length = Number(libc.recvmsg(fd, header, MSG_DONTWAIT));
  if (length < 0) return null;
  const received = new DataView(header.buffer);
  const used = Number(received.getBigUint64(40, true));
  answerFromWhereAsked(parts.control, used);
  const reply = (text: string): void => {
    const bytes = new TextEncoder().encode(text).slice(0, parts.data.length);
    parts.data.set(bytes);
    new DataView(iovec.buffer).setBigUint64(8, BigInt(bytes.length), true);
    received.setInt32(48, 0, true); // flags
    libc.sendmsg(fd, header, MSG_DONTWAIT); // a reply that can't leave is a lost one
  };
  return { text: new TextDecoder().decode(parts.data.subarray(0, length)), reply };
}

/** Turns the received control message into the one to send: same address, interface left to routing. */
function answerFromWhereAsked(control: Uint8Array<ArrayBuffer>, used: number): void {
  if (used < 28) return;
  const view = new DataView(control.buffer);
  if (view.getInt32(8, true) === IPPROTO_IP) {
    control.copyWithin(20, 24, 28); // in_pktinfo: ifindex, spec_dst, addr
    view.setInt32(16, 0, true);
  } else {
    const linkLocal = control[16] === 0xfe && (control[17]! & 0xc0) === 0x80;
    if (!linkLocal) view.setInt32(32, 0, true); // in6_pktinfo: addr, ifindex
  }
}

/** `struct msghdr` with one `struct iovec`, 64-bit Linux. The buffers must outlive it. */
function messageHeader(
  parts: Readonly<Record<"name" | "data" | "control", Uint8Array<ArrayBuffer>>>,
): { readonly header: Uint8Array<ArrayBuffer>; readonly iovec: Uint8Array<ArrayBuffer> } {
  const address = (bytes: Uint8Array<ArrayBuffer>): bigint =>
    BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
  const iovec = new Uint8Array(16);
  const iovecView = new DataView(iovec.buffer);
  iovecView.setBigUint64(0, address(parts.data), true);
  iovecView.setBigUint64(8, BigInt(parts.data.length), true);
  const header = new Uint8Array(56);
  const view = new DataView(header.buffer);
  view.setBigUint64(0, address(parts.name), true);
  view.setUint32(8, parts.name.length, true);
  view.setBigUint64(16, address(iovec), true);
  view.setBigUint64(24, 1n, true);
  view.setBigUint64(32, address(parts.control), true);
  view.setBigUint64(40, BigInt(parts.control.length), true);
  return { header, iovec };
}
