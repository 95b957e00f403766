/**
 * A packet socket (packet(7)) on one interface: whole Ethernet frames of one type, in and out. It works
 * without any address on the interface and from addresses that are not mounted, which is what probing
 * and announcing a VIP needs.
 *
 * @module
 */

import * as os from "../os/socket.ts";
import { type BpfInstruction, encodeBpf } from "./bpf.ts";

// <linux/if_packet.h>, <linux/if_arp.h>, <linux/socket.h>
const SOCKADDR_LL_LENGTH = 20;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_OTHERHOST = 3;
const PACKET_OUTGOING = 4;
const ARPHRD_ETHER = 1;

/** A little more than the largest frame of interest: ARP and ND are far below 1514 bytes. */
const BUFFER_LENGTH = 2048;

/** The interface that a socket is for, and what it hears. */
export interface LinkSocketOptions {
  readonly interfaceName: string;
  readonly interfaceIndex: number;
  /** Ethernet type of the frames to hear. */
  readonly ethertype: number;
  readonly filter: readonly BpfInstruction[];
}

/** A packet socket bound to one interface and one Ethernet type. */
export class LinkSocket {
  readonly fd: number;
  readonly #address: Uint8Array<ArrayBuffer>;
  readonly #buffer = new Uint8Array(new ArrayBuffer(BUFFER_LENGTH));
  readonly #from = new Uint8Array(new ArrayBuffer(SOCKADDR_LL_LENGTH));

  /**
   * The interface may be down; frames come once it is up.
   *
   * @throws {SocketError} e.g. `EPERM` without CAP_NET_RAW, `ENODEV` without the interface
   * @throws {Error} when the interface is not Ethernet
   */
  constructor({ interfaceName, interfaceIndex, ethertype, filter }: LinkSocketOptions) {
    const purpose = `frames of ${interfaceName}`;
    // Protocol 0: nothing is heard before the filter is there and bind() names type and interface.
    this.fd = os.openSocket({ domain: os.AF_PACKET, type: os.SOCK_RAW, protocol: 0 }, purpose);
    this.#address = sockaddrLl(ethertype, interfaceIndex);
    try {
      os.attachFilter(this.fd, encodeBpf(filter));
      this.#ignoreOutgoing();
      os.bindSocket(this.fd, this.#address, purpose);
      const bound = os.socketName(this.fd);
      if (new DataView(bound.buffer).getUint16(8, true) !== ARPHRD_ETHER) {
        throw new Error(
          `Cannot watch ${interfaceName} as it is not Ethernet: configure no VIP on this network`,
        );
      }
    } catch (error) {
      os.closeSocket(this.fd);
      throw error;
    }
  }

  /** The interface was deleted: nothing will ever come or go through this socket again. */
  get gone(): boolean {
    const bound = os.socketName(this.fd);
    return new DataView(bound.buffer).getInt32(4, true) === -1;
  }

  /** Sends a whole Ethernet frame. Returns 0, or the errno of the failure (e.g. ENETDOWN). */
  send(frame: Uint8Array<ArrayBuffer>): number {
    return os.sendTo(this.fd, frame, { address: this.#address });
  }

  /**
   * Takes one frame without waiting; null: nothing waits. "ignored": a frame that is none of ours was
   * taken. A negative number: minus the errno of the socket. A frame is valid until the next call.
   */
  receive(): Uint8Array | "ignored" | number | null {
    const length = os.receiveFrom(this.fd, this.#buffer, this.#from);
    if (length === os.NOTHING) return null;
    if (length < 0) return length;
    const packetType = this.#from[10];
    // OTHERHOST: addressed to another host (promiscuous mode), or with a VLAN tag that no interface of
    // ours takes, which the kernel has cut off: the frame belongs to another network.
    if (packetType === PACKET_OUTGOING || packetType === PACKET_OTHERHOST) return "ignored";
    return this.#buffer.subarray(0, length);
  }

  /** Closes the descriptor. */
  close(): void {
    os.closeSocket(this.fd);
  }

  /** Own frames need not even wake us; `receive` knows them too, for kernels before 4.20. */
  #ignoreOutgoing(): void {
    const value = new Uint8Array([1, 0, 0, 0]);
    try {
      const option = { level: SOL_PACKET, name: PACKET_IGNORE_OUTGOING, value };
      os.setSocketOption(this.fd, option, "PACKET_IGNORE_OUTGOING");
    } catch (error) {
      if (!(error instanceof os.SocketError)) throw error;
    }
  }
}

/** `struct sockaddr_ll { family; be16 protocol; int ifindex; hatype; pkttype; halen; addr[8]; }` */
function sockaddrLl(ethertype: number, interfaceIndex: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SOCKADDR_LL_LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, os.AF_PACKET, true);
  view.setUint16(2, ethertype);
  view.setInt32(4, interfaceIndex, true);
  return bytes;
}
