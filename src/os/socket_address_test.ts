import assert from "node:assert/strict";
import { decodeSocketAddress, encodeSocketAddress } from "./socket_address.ts";

Deno.test("decodeSocketAddress() reads what encodeSocketAddress() writes", () => {
  for (const address of [Uint8Array.of(10, 20, 0, 11), new Uint8Array(16).fill(7)]) {
    assert.deepEqual(decodeSocketAddress(encodeSocketAddress({ address, port: 5060 })), {
      address,
      port: 5060,
    });
  }
});

Deno.test("decodeSocketAddress() refuses other families and cut structures", () => {
  const whole = encodeSocketAddress({ address: new Uint8Array(16), port: 1 });
  for (
    const bytes of [whole.slice(0, 23), whole.slice(0, 2), whole.slice(0, 1), whole.slice(0, 0)]
  ) {
    assert.throws(() => decodeSocketAddress(bytes), TypeError);
  }
  assert.throws(() => decodeSocketAddress(Uint8Array.of(1, 0, 0, 0)), /its family is 1/);
});
