import assert from "node:assert/strict";
import { libc } from "./libc.ts";
import { errnoName, openSocket, SOCK_RAW, SocketError } from "./socket.ts";

// Opened here, as it stays open: inside a test it would count as a leak.
libc();

Deno.test("openSocket() says what the kernel said and what to do", () => {
  // Address family 45 does not exist (AF_MAX is below).
  const open = (): number => openSocket({ domain: 4500, type: SOCK_RAW, protocol: 0 }, "a test");
  assert.throws(open, (error: unknown) => {
    assert.ok(error instanceof SocketError);
    assert.equal(error.code, "EAFNOSUPPORT");
    assert.match(
      error.message,
      /^Cannot open a raw socket for a test as the kernel says EAFNOSUPPORT: /,
    );
    return true;
  });
});

Deno.test("SocketError with EPERM names the capability", () => {
  assert.match(new SocketError("open a raw socket for ICMP", 1).message, /CAP_NET_RAW/);
});

Deno.test("errnoName() shows unknown errors by number", () => {
  assert.equal(errnoName(100), "ENETDOWN");
  assert.equal(errnoName(3999), "errno 3999");
});
