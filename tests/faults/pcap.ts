/**
 * Reads what `tcpdump -w -` writes (pcap, link type LINUX_SLL2) as it comes: pure, chunk by chunk.
 *
 * Source: pcap-savefile(5), https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html, RFC 826.
 *
 * @module
 */

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const LINKTYPE_LINUX_SLL2 = 276;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const SLL2_HEADER = 20;
const ETH_P_ARP = 0x0806;
/** tcpdump is told to keep less of each frame; more is no pcap. */
const RECORD_MAX = 65_536;

/** One ARP frame as the kernel stamped it. */
export interface ArpSighting {
  /** Milliseconds since 1970 by the kernel's wall clock, at which the frame passed the interface. */
  readonly at: number;
  readonly operation: "request" | "reply";
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetIp: string;
}

/** See the module. */
export class PcapReader {
  #rest = new Uint8Array();
  #started = false;

  /**
   * The ARP frames that are complete with this chunk.
   *
   * @throws {TypeError} when it is no such capture
   */
  read(chunk: Uint8Array): ArpSighting[] {
    const bytes = new Uint8Array(this.#rest.length + chunk.length);
    bytes.set(this.#rest);
    bytes.set(chunk, this.#rest.length);
    const view = new DataView(bytes.buffer);
    let at = 0;
    if (!this.#started) {
      if (bytes.length < FILE_HEADER) {
        this.#rest = bytes;
        return [];
      }
      const magic = view.getUint32(0, true);
      const linkType = view.getUint32(20, true) & 0xffff;
      if (magic !== MAGIC_MICROSECONDS || linkType !== LINKTYPE_LINUX_SLL2) {
        throw new TypeError(`Cannot read the capture: magic ${magic}, link type ${linkType}`);
      }
      this.#started = true;
      at = FILE_HEADER;
    }
    const seen: ArpSighting[] = [];
    while (bytes.length - at >= RECORD_HEADER) {
      const length = view.getUint32(at + 8, true);
      if (length > RECORD_MAX) throw new TypeError(`Cannot read a record of ${length} bytes`);
      if (bytes.length - at < RECORD_HEADER + length) break;
      const stamp = view.getUint32(at, true) * 1000 + view.getUint32(at + 4, true) / 1000;
      const from = at + RECORD_HEADER;
      const sighting = arpOf(bytes.subarray(from, from + length), stamp);
      if (sighting !== null) seen.push(sighting);
      at = from + length;
    }
    this.#rest = bytes.slice(at);
    return seen;
  }
}

function arpOf(frame: Uint8Array, at: number): ArpSighting | null {
  if (frame.length < SLL2_HEADER + 28) return null;
  if (((frame[0]! << 8) | frame[1]!) !== ETH_P_ARP) return null;
  const arp = frame.subarray(SLL2_HEADER);
  const operation = (arp[6]! << 8) | arp[7]!;
  if (arp[4] !== 6 || arp[5] !== 4 || (operation !== 1 && operation !== 2)) return null;
  const mac = [...arp.subarray(8, 14)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  return {
    at,
    operation: operation === 1 ? "request" : "reply",
    senderMac: mac,
    senderIp: arp.subarray(14, 18).join("."),
    targetIp: arp.subarray(24, 28).join("."),
  };
}
