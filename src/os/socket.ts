/**
 * Sockets: the safe functions over `libc.ts`. Descriptors are plain numbers, always close-on-exec
 * and nonblocking. Setting a socket up throws {@linkcode SocketError}; sending and receiving return the
 * error as a value, because on a network that fails it is an expected result.
 *
 * @module
 */

import { lastErrno, libc } from "./libc.ts";

// Values of <linux/socket.h> and <asm-generic/socket.h>: the same on x86_64 and aarch64.

/** Address family of IPv4; ip(7). */
export const AF_INET = 2;
/** Address family of IPv6; ipv6(7). */
export const AF_INET6 = 10;
/** Address family of whole frames on one interface; packet(7). */
export const AF_PACKET = 17;
/** Socket type of datagrams; socket(2). */
export const SOCK_DGRAM = 2;
/** Socket type that carries the protocol's own header; socket(2). */
export const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SO_ERROR = 4;
/** Send flag: only to hosts on directly connected networks; send(2). IPv4 only on Linux. */
export const MSG_DONTROUTE = 0x4;
const MSG_DONTWAIT = 0x40;
const MSG_ERRQUEUE = 0x2000;

/** The errno values that relais names; anything else is shown by number. */
const ERRNO_NAMES: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  4: "EINTR",
  6: "ENXIO",
  9: "EBADF",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  19: "ENODEV",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  28: "ENOSPC",
  30: "EROFS",
  90: "EMSGSIZE",
  97: "EAFNOSUPPORT",
  99: "EADDRNOTAVAIL",
  100: "ENETDOWN",
  101: "ENETUNREACH",
  105: "ENOBUFS",
  111: "ECONNREFUSED",
  113: "EHOSTUNREACH",
};

/** What an operator can do about an error, in the imperative. */
const HINTS: Readonly<Record<string, string>> = {
  EPERM: "run as root, or give the process CAP_NET_RAW",
  EACCES: "run as root, or give the process CAP_NET_RAW",
  EMFILE: "raise the limit of open files (LimitNOFILE=)",
  ENFILE: "raise fs.file-max",
  ENODEV: "check that the interface exists (ip link)",
  ENXIO: "check that the interface exists (ip link)",
  ENETDOWN: "bring the interface up (ip link set … up)",
  ENETUNREACH: "check the address and the routes of this host (ip route)",
  EAFNOSUPPORT: "enable IPv6 on this host or configure no IPv6 network",
  EADDRNOTAVAIL: "check that this host has the source address (ip address)",
};

/** Symbolic name of an errno value, e.g. `ENETDOWN`; `errno 123` when relais has no name for it. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES[errno] ?? `errno ${errno}`;
}

/** A socket could not be set up, or it failed for good. The message says what to do. */
export class SocketError extends Error {
  override readonly name = "SocketError";
  /** Symbolic name, e.g. `EPERM`. */
  readonly code: string;
  constructor(what: string, readonly errno: number) {
    const code = errnoName(errno);
    super(`Cannot ${what} as the kernel says ${code}: ${HINTS[code] ?? "see errno(3)"}`);
    this.code = code;
  }
}

/**
 * Opens a socket, close-on-exec and nonblocking.
 *
 * @throws {SocketError} e.g. `EPERM` without CAP_NET_RAW
 */
export function openSocket(
  spec: { readonly domain: number; readonly type: number; readonly protocol: number },
  purpose: string,
): number {
  const type = spec.type | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const fd = libc().socket(spec.domain, type, spec.protocol);
  if (fd >= 0) return fd;
  const kind = spec.type === SOCK_RAW ? "raw socket" : "socket";
  throw new SocketError(`open a ${kind} for ${purpose}`, lastErrno());
}

/** Closes a descriptor. Never fails in a way that the caller could act on. */
export function closeSocket(fd: number): void {
  libc().close(fd);
}

/**
 * Binds a socket to a `struct sockaddr_*` in `address`.
 *
 * @throws {SocketError}
 */
export function bindSocket(fd: number, address: Uint8Array<ArrayBuffer>, purpose: string): void {
  if (libc().bind(fd, address, address.length) < 0) {
    throw new SocketError(`bind the socket for ${purpose}`, lastErrno());
  }
}

/**
 * Sets one socket option to the bytes of `value`.
 *
 * @throws {SocketError}
 */
export function setSocketOption(
  fd: number,
  option: {
    readonly level: number;
    readonly name: number;
    readonly value: Uint8Array<ArrayBuffer>;
  },
  purpose: string,
): void {
  const { level, name, value } = option;
  if (libc().setsockopt(fd, level, name, value, value.length) < 0) {
    throw new SocketError(`set ${purpose}`, lastErrno());
  }
}

/**
 * Attaches a classic BPF program (an array of `struct sock_filter`): what it does not keep never reaches
 * the socket, and wakes nobody.
 *
 * @throws {SocketError} e.g. `EINVAL` for a program that the kernel refuses
 */
export function attachFilter(fd: number, program: Uint8Array<ArrayBuffer>): void {
  // struct sock_fprog { unsigned short len; struct sock_filter *filter; }
  const fprog = new Uint8Array(16);
  const view = new DataView(fprog.buffer);
  view.setUint16(0, program.length / 8, true);
  view.setBigUint64(8, BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(program))), true);
  setSocketOption(
    fd,
    { level: SOL_SOCKET, name: SO_ATTACH_FILTER, value: fprog },
    "a packet filter",
  );
}

/** Takes (and clears) the pending error of a socket, SO_ERROR of socket(7): 0 when there is none. */
export function takeSocketError(fd: number): number {
  const value = new Int32Array(1);
  const length = new Uint32Array([4]);
  if (libc().getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length) < 0) return lastErrno();
  return value[0] ?? 0;
}

/**
 * The address that a socket is bound to, as raw `struct sockaddr_*` bytes (28 at most).
 *
 * @throws {SocketError}
 */
export function socketName(fd: number): Uint8Array {
  const address = new Uint8Array(28);
  const length = new Uint32Array([address.length]);
  if (libc().getsockname(fd, address, length) < 0) {
    throw new SocketError("read the name of a socket", lastErrno());
  }
  return address.subarray(0, length[0]);
}

/** Sends `bytes` to a `struct sockaddr_*`. Returns 0, or the errno of the failure. */
export function sendTo(
  fd: number,
  bytes: Uint8Array<ArrayBuffer>,
  to: { readonly address: Uint8Array<ArrayBuffer>; readonly flags?: number },
): number {
  const flags = (to.flags ?? 0) | MSG_DONTWAIT;
  const { address } = to;
  const sent = libc().sendto(fd, bytes, BigInt(bytes.length), flags, address, address.length);
  return Number(sent) < 0 ? lastErrno() : 0;
}

/** What {@linkcode receiveFrom} returns when nothing waits: minus EAGAIN. */
export const NOTHING = -11;

const fromLength = new Uint32Array(1);
const nowhere = new Uint8Array(0);

/**
 * Takes one datagram without waiting. The sender's `struct sockaddr_*` is written to `from`.
 *
 * @returns the number of bytes written to `buffer`, {@linkcode NOTHING}, or another minus errno
 */
export function receiveFrom(
  fd: number,
  buffer: Uint8Array<ArrayBuffer>,
  from: Uint8Array<ArrayBuffer> = nowhere,
): number {
  return receive(fd, buffer, { from, flags: MSG_DONTWAIT });
}

/**
 * Takes the beginning of a datagram that was sent from `fd` and refused on its way, MSG_ERRQUEUE of
 * recv(2); for sockets with IP_RECVERR. Returns as {@linkcode receiveFrom} does.
 */
export function receiveReturned(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  return receive(fd, buffer, { from: nowhere, flags: MSG_DONTWAIT | MSG_ERRQUEUE });
}

function receive(
  fd: number,
  buffer: Uint8Array<ArrayBuffer>,
  { from, flags }: { readonly from: Uint8Array<ArrayBuffer>; readonly flags: number },
): number {
  fromLength[0] = from.length;
  const got = Number(libc().recvfrom(fd, buffer, BigInt(buffer.length), flags, from, fromLength));
  return got < 0 ? -lastErrno() : got;
}

/** `SIOCGSTAMPNS` of <asm-generic/sockios.h>: a `struct timespec` of CLOCK_REALTIME. */
const SIOCGSTAMPNS = 0x8907n;
const CLOCK_REALTIME = 0;
/** An age beyond this is a step of the wall clock, not a wait in the socket. */
const PACKET_AGE_MAX_MS = 10_000;

/**
 * How long ago the packet that was taken last from `fd` arrived in the kernel, milliseconds; null when it
 * is not known. The first call on a socket switches the stamps on (socket(7)) and knows nothing yet.
 */
export function packetAgeMs(fd: number): number | null {
  const { ioctl, clock_gettime } = libc();
  const stamp = new BigInt64Array(2);
  if (ioctl(fd, SIOCGSTAMPNS, stamp) !== 0) return null;
  const now = new BigInt64Array(2);
  if (clock_gettime(CLOCK_REALTIME, now) !== 0) return null;
  const [sec = 0n, nsec = 0n] = stamp;
  const [nowSec = 0n, nowNsec = 0n] = now;
  const age = Number(nowSec - sec) * 1000 + Number(nowNsec - nsec) / 1e6;
  return age >= 0 && age < PACKET_AGE_MAX_MS ? age : null;
}
