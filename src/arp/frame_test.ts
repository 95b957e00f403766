import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import {
  arpProbe,
  arpReplyTo,
  arpRequest,
  decodeArp,
  encodeArp,
  gratuitousReply,
  gratuitousRequest,
} from "./frame.ts";
import { formatMac } from "./mac.ts";

/** Golden frames: Ethernet header, then the fields of RFC 826 in their order. */
function golden(lines: string): Uint8Array {
  const hex = lines.replaceAll(/^.*:/gm, "").replaceAll(/\s/g, "");
  return Uint8Array.fromHex(hex);
}

const mac = "02:00:5e:10:00:01";
const ip = "10.20.0.10";

Deno.test("arpProbe() is the ARP probe of RFC 5227 section 2.1.1", () => {
  assert.deepEqual(
    new Uint8Array(arpProbe({ mac, ip })),
    golden(`
      destination, source, type: ffffffffffff 02005e100001 0806
      hrd, pro, hln, pln, op:    0001 0800 06 04 0001
      sha, spa:                  02005e100001 00000000
      tha, tpa:                  000000000000 0a14000a`),
  );
});

Deno.test("arpRequest() is the request of RFC 826", () => {
  assert.deepEqual(
    new Uint8Array(arpRequest({ mac, ip: "10.20.0.11" }, "10.20.0.12")),
    golden(`
      destination, source, type: ffffffffffff 02005e100001 0806
      hrd, pro, hln, pln, op:    0001 0800 06 04 0001
      sha, spa:                  02005e100001 0a14000b
      tha, tpa:                  000000000000 0a14000c`),
  );
});

Deno.test("gratuitousRequest() is the ARP announcement of RFC 5227 section 2.3", () => {
  assert.deepEqual(
    new Uint8Array(gratuitousRequest({ mac, ip })),
    golden(`
      destination, source, type: ffffffffffff 02005e100001 0806
      hrd, pro, hln, pln, op:    0001 0800 06 04 0001
      sha, spa:                  02005e100001 0a14000a
      tha, tpa:                  000000000000 0a14000a`),
  );
});

Deno.test("gratuitousReply() is the gratuitous ARP reply of RFC 5944 section 4.6", () => {
  assert.deepEqual(
    new Uint8Array(gratuitousReply({ mac, ip })),
    golden(`
      destination, source, type: ffffffffffff 02005e100001 0806
      hrd, pro, hln, pln, op:    0001 0800 06 04 0002
      sha, spa:                  02005e100001 0a14000a
      tha, tpa:                  02005e100001 0a14000a`),
  );
});

Deno.test("arpReplyTo() is a reply of RFC 826 to one neighbour", () => {
  assert.deepEqual(
    new Uint8Array(arpReplyTo({ mac, ip }, { mac: "02:00:5e:10:00:fe", ip: "10.20.0.254" })),
    golden(`
      destination, source, type: 02005e1000fe 02005e100001 0806
      hrd, pro, hln, pln, op:    0001 0800 06 04 0002
      sha, spa:                  02005e100001 0a14000a
      tha, tpa:                  02005e1000fe 0a1400fe`),
  );
});

Deno.test("decodeArp() refuses what is not a whole untagged Ethernet/IPv4 ARP packet", () => {
  const good = gratuitousRequest({ mac, ip });
  assert.notEqual(decodeArp(good), null);
  const changes: [string, number, number][] = [
    ["type IPv4", 13, 0x00],
    ["type VLAN", 12, 0x81],
    ["hrd 6", 15, 6],
    ["pro not IPv4", 16, 0x86],
    ["hln 8", 18, 8],
    ["pln 16", 19, 16],
    ["op 0", 21, 0],
    ["op 3 (RARP)", 21, 3],
    ["op 257", 20, 1],
    ["sha a group address", 22, 0x03],
  ];
  for (const [what, at, value] of changes) {
    assert.equal(decodeArp(good.with(at, value)), null, what);
  }
  const nobody = good.slice();
  nobody.fill(0, 22, 28);
  assert.equal(decodeArp(nobody), null, "sha 0");
  for (let length = 0; length < good.length; length++) {
    assert.equal(decodeArp(good.subarray(0, length)), null, `${length} bytes`);
  }
});

const hostMacs = fc.uint8Array({ minLength: 6, maxLength: 6 })
  .filter((bytes) => bytes.some((byte) => byte !== 0))
  .map((bytes) => formatMac(bytes.map((byte, i) => i === 0 ? byte & 0xfe : byte)))
  .filter((text) => text !== "00:00:00:00:00:00");

Deno.test("decodeArp() takes back what encodeArp() wrote, with padding too", () => {
  const packets = fc.record({
    op: fc.constantFrom("request" as const, "reply" as const),
    sha: hostMacs,
    spa: fc.ipV4(),
    tha: hostMacs,
    tpa: fc.ipV4(),
  }, { noNullPrototype: true });
  fc.assert(fc.property(packets, hostMacs, fc.nat(18), (packet, destination, padding) => {
    const frame = new Uint8Array([...encodeArp(packet, destination), ...new Uint8Array(padding)]);
    assert.deepEqual(decodeArp(frame), packet);
  }));
});

Deno.test("decodeArp() never throws on any bytes", () => {
  const good = gratuitousReply({ mac, ip });
  const spoiled = fc.tuple(
    fc.uint8Array({ maxLength: 80 }),
    fc.nat(41),
    fc.boolean(),
  ).map(([noise, at, near]) => near ? new Uint8Array([...good.subarray(0, at), ...noise]) : noise);
  fc.assert(fc.property(spoiled, (bytes) => void decodeArp(bytes)), { numRuns: 5000 });
});
