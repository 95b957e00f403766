import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { canonicalIp } from "../os/ip_bytes.ts";
import {
  bitsOf,
  broadcastAddress,
  contains,
  formatCidr,
  formatIp,
  kindOf,
  networkAddress,
  parseCidr,
  parseIp,
} from "./address.ts";

const anyFamily = fc.constantFrom<4 | 6>(4, 6);
const anyIp = anyFamily.chain((family) =>
  fc.bigInt({ min: 0n, max: (1n << BigInt(bitsOf(family))) - 1n }).map((value) => ({
    family,
    value,
  }))
);
/** IPv6 values with many zero groups, where the short forms live. */
const sparseIpv6 = fc.array(fc.constantFrom(0n, 0n, 0n, 1n, 0xabn, 0xffffn), {
  minLength: 8,
  maxLength: 8,
}).map((groups) => ({
  family: 6 as const,
  value: groups.reduce<bigint>((sum, group) => (sum << 16n) | group, 0n),
}));

Deno.test("parseIp() refuses every lax form", () => {
  const lax = [
    "",
    "1..2.3",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "1.2.3.04",
    "0x10.0.0.1",
    "1.2.3.256",
    "1.2.3.-4",
    " 1.2.3.4",
    "1.2.3.4 ",
    "1.2.3.4\n",
    "1.2.3.4/24",
    "167772161",
    "١.2.3.4",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4::5:6:7:8",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "[::1]",
    "::1.2.3",
    "::1.2.3.4:5",
    "1.2.3.4::",
    "::01.2.3.4",
  ];
  for (const text of lax) assert.equal(parseIp(text), null, JSON.stringify(text));
});

Deno.test("canonicalIp() prints RFC 5952 text", () => {
  const golden: readonly (readonly [string, string])[] = [
    ["2001:0DB8:0:0:0:0:0:0001", "2001:db8::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["::ffff:0a00:0001", "::ffff:10.0.0.1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["10.20.0.11", "10.20.0.11"],
  ];
  for (const [text, canonical] of golden) assert.equal(canonicalIp(text), canonical);
});

Deno.test("parseIp() reads back what formatIp() prints, for every address", () => {
  fc.assert(fc.property(fc.oneof(anyIp, sparseIpv6), (address) => {
    const text = formatIp(address);
    assert.deepEqual(parseIp(text), address);
    assert.equal(canonicalIp(text), text);
  }));
});

Deno.test("parseIp() accepts exactly what node:net accepts, less the zones", () => {
  const pieces = fc.constantFrom("0", "1", "ff", "0ff", "256", "10", ".", ".", ":", ":", "::", "x");
  const nearAddresses = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.array(pieces, { maxLength: 18 }).map((list) => list.join("")),
    anyIp.map(formatIp),
  );
  fc.assert(fc.property(nearAddresses, (text) => {
    const expected = isIPv4(text) ? 4 : isIPv6(text) && !text.includes("%") ? 6 : undefined;
    assert.equal(parseIp(text)?.family, expected, text);
  }));
});

Deno.test("contains() agrees with the network and broadcast addresses", () => {
  const pair = anyIp.chain((address) =>
    fc.tuple(
      fc.constant(address),
      fc.integer({ min: 0, max: bitsOf(address.family) }),
      fc.bigInt({ min: 0n, max: (1n << BigInt(bitsOf(address.family))) - 1n }),
    )
  );
  fc.assert(fc.property(pair, ([address, prefix, other]) => {
    const cidr = { address, prefix };
    const candidate = { family: address.family, value: other };
    const inside = networkAddress(cidr).value <= other && other <= broadcastAddress(cidr).value;
    assert.equal(contains(cidr, candidate), inside);
    assert.ok(contains(cidr, address));
    assert.deepEqual(parseCidr(formatCidr(cidr)), cidr);
  }));
});

Deno.test("contains() never mixes families", () => {
  const cidr = parseCidr("0.0.0.0/0");
  const address = parseIp("::1");
  assert.ok(cidr !== null && address !== null);
  assert.equal(contains(cidr, address), false);
});

Deno.test("parseCidr() refuses lax prefix lengths", () => {
  for (const text of ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/024", "::/129", "::/-1"]) {
    assert.equal(parseCidr(text), null, text);
  }
});

Deno.test("kindOf() tells unicast from what cannot be a host", () => {
  const golden = {
    "10.0.0.1": "unicast",
    "fd00::b": "unicast",
    "0.0.0.0": "unspecified",
    "0.1.2.3": "reserved",
    "127.0.0.1": "loopback",
    "169.254.1.1": "link-local",
    "224.0.0.18": "multicast",
    "255.255.255.255": "broadcast",
    "250.0.0.1": "reserved",
    "::1": "loopback",
    "fe80::1": "link-local",
    "ff02::1": "multicast",
    "::ffff:10.0.0.1": "mapped",
  };
  for (const [text, kind] of Object.entries(golden)) {
    const address = parseIp(text);
    assert.ok(address !== null, text);
    assert.equal(kindOf(address), kind, text);
  }
});
