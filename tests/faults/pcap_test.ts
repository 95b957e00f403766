import assert from "node:assert/strict";
import { PcapReader } from "./pcap.ts";

/** A file as pcap-savefile(5) has it, with one ARP reply and one request. */
function capture(): Uint8Array {
  const header = new Uint8Array(24);
  const head = new DataView(header.buffer);
  head.setUint32(0, 0xa1b2c3d4, true);
  head.setUint16(4, 2, true);
  head.setUint16(6, 4, true);
  head.setUint32(16, 64, true);
  head.setUint32(20, 276, true);
  const frame = (operation: number): Uint8Array => {
    const record = new Uint8Array(16 + 48);
    const view = new DataView(record.buffer);
    view.setUint32(0, 1_700_000_000, true);
    view.setUint32(4, 123_456, true);
    view.setUint32(8, 48, true);
    view.setUint32(12, 48, true);
    record.set([8, 6, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0x4c, 0x20, 0, 0, 0x11, 0, 0], 16);
    record.set([0, 1, 8, 0, 6, 4, 0, operation, 2, 0x4c, 0x20, 0, 0, 0x11], 36);
    record.set([10, 20, 0, 10, 2, 0x4c, 0x20, 0, 0, 0x51, 10, 20, 0, 51], 50);
    return record;
  };
  return new Uint8Array([...header, ...frame(2), ...frame(1)]);
}

Deno.test("frames are read wherever the chunks are cut", () => {
  const bytes = capture();
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reader = new PcapReader();
    const seen = [...reader.read(bytes.subarray(0, cut)), ...reader.read(bytes.subarray(cut))];
    assert.deepEqual(seen.map(({ operation }) => operation), ["reply", "request"]);
    assert.deepEqual(seen[0], {
      at: 1_700_000_000_123.456,
      operation: "reply",
      senderMac: "02:4c:20:00:00:11",
      senderIp: "10.20.0.10",
      targetIp: "10.20.0.51",
    });
  }
});

Deno.test("what is no such capture is refused; frames of other kinds are passed over", () => {
  assert.throws(() => new PcapReader().read(new Uint8Array(24)), /magic 0/);
  const ip = capture();
  ip[24 + 16 + 1] = 0; // EtherType 0x0800
  assert.equal(new PcapReader().read(ip).length, 1);
  const long = capture();
  new DataView(long.buffer).setUint32(24 + 8, 1 << 30, true);
  assert.throws(() => new PcapReader().read(long), /record/);
});
