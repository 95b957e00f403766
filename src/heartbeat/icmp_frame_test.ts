import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import {
  decodeEcho,
  encodeEchoReply,
  encodeEchoRequest,
  type Family,
  icmpOfIpv4Packet,
} from "./icmp_frame.ts";

function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(text.replaceAll(/\s/g, ""));
}

const echo = { identifier: 0x1234, sequence: 0x0007, payload: hex("72656c616973") };

/** RFC 792 page 14: Type, Code, Checksum, Identifier, Sequence Number, Data. */
const ECHO_REQUEST_V4 = hex("08 00 9d8a 1234 0007 72656c616973");
/** The same with Type 0. */
const ECHO_REPLY_V4 = hex("00 00 a58a 1234 0007 72656c616973");
/** RFC 4443 sections 4.1 and 4.2: Type 128 and 129; the checksum is the kernel's work. */
const ECHO_REQUEST_V6 = hex("80 00 0000 1234 0007 72656c616973");

Deno.test("encodeEchoRequest() writes the golden bytes of RFC 792 and RFC 4443", () => {
  assert.deepEqual(encodeEchoRequest(4, echo), ECHO_REQUEST_V4);
  assert.deepEqual(encodeEchoReply(4, echo), ECHO_REPLY_V4);
  assert.deepEqual(encodeEchoRequest(6, echo), ECHO_REQUEST_V6);
});

Deno.test("decodeEcho() takes the golden bytes apart", () => {
  assert.deepEqual(decodeEcho(4, ECHO_REPLY_V4), { kind: "reply", ...echo });
  assert.deepEqual(decodeEcho(6, ECHO_REQUEST_V6), { kind: "request", ...echo });
});

Deno.test("decodeEcho() refuses wrong checksums, codes, types and short messages", () => {
  for (let at = 0; at < ECHO_REPLY_V4.length; at++) {
    const damaged = ECHO_REPLY_V4.slice();
    damaged[at]! ^= 0x10;
    assert.equal(decodeEcho(4, damaged), null, `byte ${at}`);
  }
  assert.equal(decodeEcho(4, ECHO_REPLY_V4.subarray(0, 7)), null);
  assert.equal(decodeEcho(6, ECHO_REPLY_V4), null);
});

Deno.test("decodeEcho() takes back what was encoded", () => {
  const echoes = fc.record({
    identifier: fc.nat(0xffff),
    sequence: fc.nat(0xffff),
    payload: fc.uint8Array({ maxLength: 1000 }).map((bytes) => Uint8Array.from(bytes)),
  });
  fc.assert(fc.property(fc.constantFrom<Family>(4, 6), echoes, (family, e) => {
    assert.deepEqual(decodeEcho(family, encodeEchoReply(family, e)), { kind: "reply", ...e });
  }));
});

Deno.test("icmpOfIpv4Packet() skips header options and cuts what follows the packet", () => {
  // Version 4, header 6 words (RFC 791), total length 38, protocol 1, four bytes of options.
  const header = hex("46 00 0026 0001 0000 40 01 0000 0a090002 0a090001 01010101");
  const packet = new Uint8Array([...header, ...ECHO_REPLY_V4, 0xee, 0xee]);
  assert.deepEqual(icmpOfIpv4Packet(packet), ECHO_REPLY_V4);
});

Deno.test("icmpOfIpv4Packet() refuses fragments, other protocols, cut packets", () => {
  const good = new Uint8Array([
    ...hex("45 00 0022 0001 0000 40 01 0000 0a090002 0a090001"),
    ...ECHO_REPLY_V4,
  ]);
  assert.notEqual(icmpOfIpv4Packet(good), null);
  const changed = (at: number, value: number): Uint8Array => good.with(at, value);
  assert.equal(icmpOfIpv4Packet(changed(6, 0x20)), null, "more fragments");
  assert.equal(icmpOfIpv4Packet(changed(7, 0x01)), null, "fragment offset");
  assert.equal(icmpOfIpv4Packet(changed(9, 17)), null, "UDP");
  assert.equal(icmpOfIpv4Packet(changed(0, 0x65)), null, "version 6");
  assert.equal(icmpOfIpv4Packet(changed(0, 0x44)), null, "header of 16 bytes");
  assert.equal(icmpOfIpv4Packet(good.subarray(0, good.length - 1)), null, "cut");
});

Deno.test("decodeEcho() and icmpOfIpv4Packet() never throw on any bytes", () => {
  const noise = fc.tuple(fc.uint8Array({ maxLength: 100 }), fc.constantFrom(0, 8, 0x45, 128, 129));
  fc.assert(
    fc.property(noise, ([bytes, first]) => {
      if (bytes.length > 0) bytes[0] = first;
      decodeEcho(4, bytes);
      decodeEcho(6, bytes);
      icmpOfIpv4Packet(bytes);
    }),
    { numRuns: 2000 },
  );
});
