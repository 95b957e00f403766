import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { canonicalIp, formatIp, ipBytes, ipFromValue, ipToValue, parseIp } from "./ip_bytes.ts";

Deno.test("formatIp() writes the canonical text of RFC 5952", () => {
  const cases: [string, string][] = [
    ["10.20.0.11", "10.20.0.11"],
    ["FD00:0:0:0:0:0:0:b", "fd00::b"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8::1:0:0:1", "2001:db8::1:0:0:1"],
    ["::ffff:c000:201", "::ffff:192.0.2.1"],
    ["::ffff:0:1", "::ffff:0.0.0.1"],
    ["::1:ffff:c000:201", "::1:ffff:c000:201"],
  ];
  for (const [text, canonical] of cases) assert.equal(formatIp(ipBytes(text)), canonical);
});

Deno.test("parseIp() refuses what is not an address", () => {
  const bad = [
    "",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "fe80::1%eth0",
    "g::",
    "12345::",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "1.2.3",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4/24",
    " 1.2.3.4",
    "1.2.3.4.5",
  ];
  for (const text of bad) {
    assert.equal(parseIp(text), null, text);
    assert.equal(canonicalIp(text), null, text);
  }
});

Deno.test("parseIp() takes back what formatIp() wrote", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    // Mostly zeros, where the shortening happens.
    fc.array(fc.constantFrom(0, 0, 0, 1), { minLength: 16, maxLength: 16 })
      .map((list) => Uint8Array.from(list)),
  );
  fc.assert(fc.property(bytes, (b) => assert.deepEqual(parseIp(formatIp(b)), Uint8Array.from(b))));
});

Deno.test("ipToValue() and ipFromValue() are each other's inverse", () => {
  assert.equal(ipToValue(ipBytes("1.2.3.4")), 0x01020304n);
  assert.equal(ipToValue(ipBytes("fd00::b")), (0xfd00n << 112n) + 11n);
  const bytes = fc.constantFrom(4, 16).chain((length) =>
    fc.uint8Array({ minLength: length, maxLength: length })
  );
  fc.assert(fc.property(bytes, (b) => {
    const family = b.length === 4 ? 4 : 6;
    assert.deepEqual(ipFromValue(ipToValue(b), family), Uint8Array.from(b));
  }));
});

Deno.test("parseIp() never throws", () => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(..."0123:.af%") }), (text) => {
    parseIp(text);
  }));
});
