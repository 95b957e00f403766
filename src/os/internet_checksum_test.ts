import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { icmpv6Checksum, internetChecksum } from "./internet_checksum.ts";
import { ipBytes } from "./ip_bytes.ts";

Deno.test("internetChecksum() of the example of RFC 1071 section 3", () => {
  const example = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  assert.equal(internetChecksum(example), ~0xddf2 & 0xffff);
});

Deno.test("internetChecksum() over a message with its checksum is 0", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 4, maxLength: 1500 }), (bytes) => {
    const message = Uint8Array.from(bytes);
    message.fill(0, 2, 4);
    new DataView(message.buffer).setUint16(2, internetChecksum(message));
    assert.equal(internetChecksum(message), 0);
  }));
});

Deno.test("icmpv6Checksum() counts the addresses, the length and the next header", () => {
  const ends = { source: ipBytes("fd00::1"), destination: ipBytes("fd00::2") };
  // fd00+1 + fd00+2 + length 8 + next header 58 + 8000 (type 128) = 27a45, folded 7a47.
  const message = Uint8Array.of(0x80, 0, 0, 0, 0, 0, 0, 0);
  assert.equal(icmpv6Checksum(ends, message), ~0x7a47 & 0xffff);
});
