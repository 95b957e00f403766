/**
 * Sockets for the outside observer: synchronous calls into the C library on one thread, because what counts
 * there is the moment of sending. Written apart from `src/os/` on purpose: the ruler is not made by what
 * it measures.
 *
 * @module
 */

const libc = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "isize" },
  ppoll: { parameters: ["buffer", "u64", "buffer", "pointer"], result: "i32" },
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  __errno_location: { parameters: [], result: "pointer" },
}).symbols;

export const AF_INET = 2;
export const AF_INET6 = 10;
const AF_PACKET = 17;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x80000;
const MSG_DONTWAIT = 0x40;
const POLLIN = 1;
export const ECONNREFUSED = 111;
/** EtherTypes. */
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_IPV6 = 0x86dd;

function errno(): number {
  const location = libc.__errno_location();
  return location === null ? -1 : new Deno.UnsafePointerView(location).getInt32();
}

function checked(result: number | bigint, what: string): number {
  if (Number(result) < 0) throw new Error(`Cannot ${what} as errno is ${errno()}`);
  return Number(result);
}

/** socket(2). */
export function openSocket(family: number, type: number, protocol: number): number {
  return checked(libc.socket(family, type | SOCK_CLOEXEC, protocol), "open a socket");
}

/** A packet socket that sees the frames of one EtherType on one interface, with their sender's MAC. */
export function openPacketSocket(interfaceName: string, etherType: number): number {
  const fd = openSocket(AF_PACKET, SOCK_DGRAM, swap16(etherType));
  const address = linkAddress(interfaceName, etherType);
  checked(libc.bind(fd, address, address.length), `bind to ${interfaceName}`);
  return fd;
}

/** `struct sockaddr_ll` (packet(7)) of an interface, with a destination for sending. */
export function linkAddress(
  interfaceName: string,
  etherType: number,
  destination = new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
): Uint8Array<ArrayBuffer> {
  const index = libc.if_nametoindex(new TextEncoder().encode(interfaceName + "\0"));
  if (index === 0) throw new Error(`Cannot find interface ${interfaceName} as it is not there`);
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, etherType); // network order
  view.setInt32(4, index, true);
  bytes[11] = destination.length;
  bytes.set(destination, 12);
  return bytes;
}

/** `struct sockaddr_in` or `struct sockaddr_in6`. */
export function internetAddress(address: Uint8Array, port: number): Uint8Array<ArrayBuffer> {
  const v4 = address.length === 4;
  const bytes = new Uint8Array(v4 ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, v4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  bytes.set(address, v4 ? 4 : 8);
  return bytes;
}

/** connect(2). */
export function connectSocket(fd: number, address: Uint8Array<ArrayBuffer>): void {
  checked(libc.connect(fd, address, address.length), "connect");
}

/** setsockopt(2) with raw bytes. */
export function setOption(
  fd: number,
  option: {
    readonly level: number;
    readonly name: number;
    readonly value: Uint8Array<ArrayBuffer>;
  },
): void {
  const { level, name, value } = option;
  checked(libc.setsockopt(fd, level, name, value, value.length), `set option ${name}`);
}

/** Sends; returns 0 or errno (no route, buffer full, refused: all are answers of a network in trouble). */
export function sendTo(
  fd: number,
  bytes: Uint8Array<ArrayBuffer>,
  to: Uint8Array<ArrayBuffer> | null,
): number {
  const sent = to === null
    ? libc.send(fd, bytes, BigInt(bytes.length), MSG_DONTWAIT)
    : libc.sendto(fd, bytes, BigInt(bytes.length), MSG_DONTWAIT, to, to.length);
  return Number(sent) < 0 ? errno() : 0;
}

/** One received datagram. */
export interface Received {
  /** Valid until the next call. */
  readonly bytes: Uint8Array;
  /** `struct sockaddr_ll` or `sockaddr_in` of the sender. */
  readonly from: Uint8Array;
}

const buffer = new Uint8Array(65536);
const fromBuffer = new Uint8Array(128);
const fromLength = new Uint32Array(1);

/** Receives one datagram; null when there is none now; errno for anything else. */
export function receiveFrom(fd: number): Received | number | null {
  fromLength[0] = fromBuffer.length;
  const length = Number(
    libc.recvfrom(fd, buffer, BigInt(buffer.length), MSG_DONTWAIT, fromBuffer, fromLength),
  );
  if (length < 0) {
    const code = errno();
    return code === 11 || code === 4 ? null : code; // EAGAIN, EINTR
  }
  return { bytes: buffer.subarray(0, length), from: fromBuffer.subarray(0, fromLength[0]) };
}

/** Blocks until one of the descriptors can be read or the time is over; returns the readable ones. */
export function waitReadable(fds: readonly number[], timeoutMs: number): number[] {
  const table = new Uint8Array(8 * fds.length);
  const view = new DataView(table.buffer);
  fds.forEach((fd, i) => {
    view.setInt32(8 * i, fd, true);
    view.setInt16(8 * i + 4, POLLIN, true);
  });
  const nanoseconds = BigInt(Math.max(0, Math.round(timeoutMs * 1e6)));
  const timespec = new BigInt64Array([nanoseconds / 1_000_000_000n, nanoseconds % 1_000_000_000n]);
  libc.ppoll(table, BigInt(fds.length), new Uint8Array(timespec.buffer), null);
  return fds.filter((_, i) => view.getInt16(8 * i + 6, true) !== 0);
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}
