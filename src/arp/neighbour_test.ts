import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { icmpv6Checksum } from "../os/internet_checksum.ts";
import {
  decodeNeighbour,
  multicastMac,
  neighbourAdvertisement,
  neighbourProbe,
  neighbourSolicitation,
  solicitedNode,
} from "./neighbour.ts";

/** Golden frames: Ethernet, IPv6 (RFC 8200), message (RFC 4861); checksums computed elsewhere. */
function golden(lines: string): Uint8Array {
  return Uint8Array.fromHex(lines.replaceAll(/^.*:/gm, "").replaceAll(/\s/g, ""));
}

const mac = "02:00:5e:10:00:01";
const ip = "fd00::a10";

Deno.test("solicitedNode() and multicastMac() follow RFC 4291 section 2.7.1 and RFC 2464 section 7", () => {
  // The example of RFC 4291.
  assert.equal(solicitedNode("4037::01:800:200e:8c6c"), "ff02::1:ff0e:8c6c");
  assert.equal(multicastMac("ff02::1:ff0e:8c6c"), "33:33:ff:0e:8c:6c");
  assert.equal(multicastMac("ff02::1"), "33:33:00:00:00:01");
});

Deno.test("neighbourProbe() is the solicitation of duplicate address detection", () => {
  assert.deepEqual(
    new Uint8Array(neighbourProbe({ mac, ip })),
    golden(`
      destination, source, type:       3333ff000a10 02005e100001 86dd
      version…, length, next, hops:    60000000 0018 3a ff
      source:                          00000000000000000000000000000000
      destination:                     ff0200000000000000000001ff000a10
      type, code, checksum, reserved:  87 00 6987 00000000
      target:                          fd000000000000000000000000000a10`),
  );
});

Deno.test("neighbourSolicitation() names its sender's Ethernet address", () => {
  assert.deepEqual(
    new Uint8Array(neighbourSolicitation({ mac, ip: "fd00::a11" }, "fd00::a12")),
    golden(`
      destination, source, type:       3333ff000a12 02005e100001 86dd
      version…, length, next, hops:    60000000 0020 3a ff
      source:                          fd000000000000000000000000000a11
      destination:                     ff0200000000000000000001ff000a12
      type, code, checksum, reserved:  87 00 0157 00000000
      target:                          fd000000000000000000000000000a12
      option 1, length, address:       01 01 02005e100001`),
  );
});

Deno.test("neighbourAdvertisement() is unsolicited, overrides, and goes to all nodes", () => {
  assert.deepEqual(
    new Uint8Array(neighbourAdvertisement({ mac, ip })),
    golden(`
      destination, source, type:       333300000001 02005e100001 86dd
      version…, length, next, hops:    60000000 0020 3a ff
      source:                          fd000000000000000000000000000a10
      destination:                     ff020000000000000000000000000001
      type, code, checksum, R|S|O:     88 00 e86c 20000000
      target:                          fd000000000000000000000000000a10
      option 2, length, address:       02 01 02005e100001`),
  );
});

Deno.test("neighbourAdvertisement() to one neighbour goes to its addresses", () => {
  assert.deepEqual(
    new Uint8Array(
      neighbourAdvertisement({ mac, ip }, { mac: "02:00:5e:10:00:fe", ip: "fd00::fe" }),
    ),
    golden(`
      destination, source, type:       02005e1000fe 02005e100001 86dd
      version…, length, next, hops:    60000000 0020 3a ff
      source:                          fd000000000000000000000000000a10
      destination:                     fd0000000000000000000000000000fe
      type, code, checksum, R|S|O:     88 00 e971 20000000
      target:                          fd000000000000000000000000000a10
      option 2, length, address:       02 01 02005e100001`),
  );
});

Deno.test("decodeNeighbour() takes back what was encoded, with padding too", () => {
  assert.deepEqual(decodeNeighbour(neighbourProbe({ mac, ip })), {
    kind: "solicitation",
    source: "::",
    destination: "ff02::1:ff00:a10",
    target: ip,
    mac,
    solicited: false,
    override: false,
  });
  const padded = new Uint8Array([...neighbourAdvertisement({ mac, ip }), 0, 0, 0]);
  assert.deepEqual(decodeNeighbour(padded), {
    kind: "advertisement",
    source: ip,
    destination: "ff02::1",
    target: ip,
    mac,
    solicited: false,
    override: true,
  });
});

/** A frame with bytes changed and the checksum made right again. */
function changed(frame: Uint8Array, changes: readonly [number, number][]): Uint8Array {
  const copy = frame.slice();
  for (const [at, value] of changes) copy[at] = value;
  const body = copy.subarray(54);
  body.fill(0, 2, 4);
  const ends = { source: copy.subarray(22, 38), destination: copy.subarray(38, 54) };
  new DataView(copy.buffer).setUint16(56, icmpv6Checksum(ends, body));
  return copy;
}

Deno.test("decodeNeighbour() prefers the option over the Ethernet source, and takes that without one", () => {
  const advertisement = neighbourAdvertisement({ mac, ip });
  assert.equal(decodeNeighbour(changed(advertisement, [[11, 0x77]]))?.mac, mac);
  // Option type 14 (nonce): another option, so the Ethernet source counts.
  const withoutAddress = changed(advertisement, [[78, 14], [11, 0x77]]);
  assert.equal(decodeNeighbour(withoutAddress)?.mac, "02:00:5e:10:00:77");
});

Deno.test("decodeNeighbour() refuses what RFC 4861 sections 7.1.1 and 7.1.2 refuse", () => {
  const good = neighbourAdvertisement({ mac, ip });
  const probe = neighbourProbe({ mac, ip });
  assert.notEqual(decodeNeighbour(changed(good, [])), null);
  const cases: [string, Uint8Array][] = [
    ["VLAN tag", good.with(12, 0x81).with(13, 0)],
    ["version 4", changed(good, [[14, 0x45]])],
    ["hop limit 254: it came through a router", changed(good, [[21, 254]])],
    ["UDP", changed(good, [[20, 17]])],
    ["checksum", good.with(57, good[57]! ^ 1)],
    ["code 1", changed(good, [[55, 1]])],
    ["echo reply", changed(good, [[54, 129]])],
    ["multicast target", changed(good, [[62, 0xff]])],
    ["solicited to a group", changed(good, [[58, 0x60]])],
    ["option of length 0", changed(good, [[79, 0]])],
    ["option longer than the message", changed(good, [[79, 2]])],
    ["group address in the option", changed(good, [[80, 0x33]])],
    ["length beyond the frame", good.with(19, 0x21)],
    ["length below the message", good.with(19, 0x10)],
    ["source ::, with an address", changed(good, [...zeros(22, 16), [54, 135], [78, 1]])],
    ["advertisement from ::", changed(probe, [[54, 136]])],
  ];
  for (const [what, frame] of cases) assert.equal(decodeNeighbour(frame), null, what);
  for (let length = 0; length < good.length; length++) {
    assert.equal(decodeNeighbour(good.subarray(0, length)), null, `${length} bytes`);
  }
});

function zeros(at: number, count: number): [number, number][] {
  return Array.from({ length: count }, (_, i) => [at + i, 0]);
}

Deno.test("decodeNeighbour() never throws on any bytes", () => {
  const good = neighbourAdvertisement({ mac, ip });
  const changes = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 });
  // With a right checksum, so that the checks behind it are reached.
  fc.assert(
    fc.property(changes, (list) => void decodeNeighbour(changed(good, list))),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(
      fc.nat(good.length),
      fc.uint8Array({ maxLength: 100 }),
      (at, noise) => void decodeNeighbour(new Uint8Array([...good.subarray(0, at), ...noise])),
    ),
    { numRuns: 2000 },
  );
});
