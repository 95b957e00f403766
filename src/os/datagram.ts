/**
 * sendmsg(2) with ancillary data: one datagram whose source address and hop limit are chosen per packet,
 * so that one socket serves all links.
 *
 * @module
 */

import { lastErrno, libc } from "./libc.ts";

const MSG_DONTWAIT = 0x40;

/** One `struct cmsghdr` and its data. */
export interface ControlMessage {
  readonly level: number;
  readonly type: number;
  readonly data: Uint8Array;
}

/** Layout of the scratch memory that one call uses: fixed places, each with room to spare. */
const MSGHDR = 0;
const IOVEC = 64;
const NAME = 96;
const CONTROL = 128;
const CONTROL_SIZE = 128;
const PAYLOAD = CONTROL + CONTROL_SIZE;
const SCRATCH_SIZE = 2048;

/** The largest datagram that {@linkcode sendMessage} takes, bytes. */
const MAX_DATAGRAM = SCRATCH_SIZE - PAYLOAD;

/** Off the JavaScript heap (an explicit ArrayBuffer), so the addresses below stay true. */
let scratch: { readonly bytes: Uint8Array<ArrayBuffer>; readonly base: bigint } | null = null;

function scratchMemory(): NonNullable<typeof scratch> {
  if (scratch !== null) return scratch;
  const bytes = new Uint8Array(new ArrayBuffer(SCRATCH_SIZE));
  const base = Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
  return scratch = { bytes, base: BigInt(base) };
}

/** Rounds up to the alignment of `struct cmsghdr` (CMSG_ALIGN of cmsg(3)). */
function align(length: number): number {
  return (length + 7) & ~7;
}

/** Writes the control messages one after the other (cmsg(3)); returns their length. */
function writeControl(view: DataView, messages: readonly ControlMessage[]): number {
  let at = CONTROL;
  for (const { level, type, data } of messages) {
    if (at + 16 + align(data.length) > CONTROL + CONTROL_SIZE) {
      throw new RangeError("Cannot send as the control messages are too long");
    }
    view.setBigUint64(at, BigInt(16 + data.length), true);
    view.setInt32(at + 8, level, true);
    view.setInt32(at + 12, type, true);
    new Uint8Array(view.buffer, at + 16, data.length).set(data);
    at += 16 + align(data.length);
  }
  return at - CONTROL;
}

/**
 * Sends one datagram of at most {@linkcode MAX_DATAGRAM} bytes. Returns 0, or the errno of the failure.
 *
 * @throws {RangeError} when the datagram or its control messages are too long (a bug of the caller)
 */
export function sendMessage(fd: number, message: {
  readonly payload: Uint8Array;
  /** A `struct sockaddr_*`, 28 bytes at most. */
  readonly to: Uint8Array;
  readonly control: readonly ControlMessage[];
  /** MSG_* flags besides MSG_DONTWAIT. */
  readonly flags: number;
}): number {
  const { payload, to } = message;
  if (payload.length > MAX_DATAGRAM || to.length > CONTROL - NAME) {
    throw new RangeError(`Cannot send ${payload.length} bytes as the limit is ${MAX_DATAGRAM}`);
  }
  const { bytes, base } = scratchMemory();
  const view = new DataView(bytes.buffer);
  bytes.set(to, NAME);
  bytes.set(payload, PAYLOAD);
  bytes.fill(0, CONTROL, CONTROL + CONTROL_SIZE);
  const controlLength = writeControl(view, message.control);
  // struct iovec { void *iov_base; size_t iov_len; }
  view.setBigUint64(IOVEC, base + BigInt(PAYLOAD), true);
  view.setBigUint64(IOVEC + 8, BigInt(payload.length), true);
  // struct msghdr { name, namelen (+4), iov, iovlen, control, controllen, flags (+4) }
  view.setBigUint64(MSGHDR, base + BigInt(NAME), true);
  view.setUint32(MSGHDR + 8, to.length, true);
  view.setBigUint64(MSGHDR + 16, base + BigInt(IOVEC), true);
  view.setBigUint64(MSGHDR + 24, 1n, true);
  view.setBigUint64(MSGHDR + 32, controlLength === 0 ? 0n : base + BigInt(CONTROL), true);
  view.setBigUint64(MSGHDR + 40, BigInt(controlLength), true);
  const sent = libc().sendmsg(fd, bytes, message.flags | MSG_DONTWAIT);
  return Number(sent) < 0 ? lastErrno() : 0;
}
