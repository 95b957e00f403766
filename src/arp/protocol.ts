/**
 * What ARP and IPv6 neighbour discovery have in common for a VIP: ask who holds an address, say that we
 * hold it, and hear who says so. One object per IP version; everything here is bytes, no I/O.
 *
 * @module
 */

import { arpFilter, type BpfInstruction, neighbourFilter } from "./bpf.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV6 } from "./ethernet.ts";
import * as arp from "./frame.ts";
import * as nd from "./neighbour.ts";

/** An Ethernet frame. */
export type Frame = Uint8Array<ArrayBuffer>;

/** A neighbour that is told directly. */
export interface Neighbour {
  readonly address: string;
  readonly mac: string;
}

/** A frame says: `address` is at `mac`. */
export type Claim = Neighbour;

/** ARP or neighbour discovery, spoken from one Ethernet address. */
export interface AddressProtocol {
  readonly ethertype: number;
  /** Keeps what {@linkcode decode} needs to hear claims to `addresses`. */
  filter(addresses: readonly string[]): BpfInstruction[];
  /** Asks who holds `address` without saying anything about ourselves. */
  probe(address: string): Frame;
  /** Asks for `address` from our own address `from`. */
  ask(from: string, address: string): Frame;
  /** Says to everybody, in every form that some equipment insists on, that we hold `address`. */
  announce(address: string): Frame[];
  /** Says to one neighbour that we hold `address`. */
  tell(address: string, neighbour: Neighbour): Frame;
  /** The claim that a frame makes; "silent": good, but without a claim; null: garbage. */
  decode(frame: Uint8Array): Claim | "silent" | null;
}

/** The protocol for addresses of `family`, spoken from `mac`. */
export function addressProtocol(family: 4 | 6, mac: string): AddressProtocol {
  return family === 4 ? arpProtocol(mac) : neighbourProtocol(mac);
}

function arpProtocol(mac: string): AddressProtocol {
  return {
    ethertype: ETHERTYPE_ARP,
    filter: arpFilter,
    probe: (ip) => arp.arpProbe({ mac, ip }),
    ask: (from, address) => arp.arpRequest({ mac, ip: from }, address),
    announce: (ip) => [arp.gratuitousRequest({ mac, ip }), arp.gratuitousReply({ mac, ip })],
    tell: (ip, to) => arp.arpReplyTo({ mac, ip }, { mac: to.mac, ip: to.address }),
    decode(frame): Claim | "silent" | null {
      const packet = arp.decodeArp(frame);
      if (packet === null) return null;
      // A probe (RFC 5227) asks for an address that its sender does not hold yet.
      if (packet.spa === "0.0.0.0") return "silent";
      return { address: packet.spa, mac: packet.sha };
    },
  };
}

function neighbourProtocol(mac: string): AddressProtocol {
  return {
    ethertype: ETHERTYPE_IPV6,
    filter: neighbourFilter,
    probe: (ip) => nd.neighbourProbe({ mac, ip }),
    ask: (from, address) => nd.neighbourSolicitation({ mac, ip: from }, address),
    announce: (ip) => [nd.neighbourAdvertisement({ mac, ip })],
    tell: (ip, to) => nd.neighbourAdvertisement({ mac, ip }, { mac: to.mac, ip: to.address }),
    decode(frame): Claim | "silent" | null {
      const message = nd.decodeNeighbour(frame);
      if (message === null) return null;
      if (message.kind === "advertisement") return { address: message.target, mac: message.mac };
      if (message.source === "::") return "silent";
      return { address: message.source, mac: message.mac };
    },
  };
}
