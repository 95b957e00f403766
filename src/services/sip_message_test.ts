import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { answers, encodeOptions, type OptionsRequest, parseResponse } from "./sip_message.ts";

const request: OptionsRequest = {
  host: "127.0.0.1",
  port: 5060,
  localPort: 40_000,
  branch: "b1",
  callId: "c1",
  tag: "t1",
};
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

Deno.test("encodeOptions() writes the request of RFC 3261 section 11", () => {
  assert.equal(
    new TextDecoder().decode(encodeOptions(request)),
    "OPTIONS sip:127.0.0.1:5060 SIP/2.0\r\n" +
      "Via: SIP/2.0/UDP 127.0.0.1:40000;rport;branch=z9hG4bKb1\r\n" +
      "Max-Forwards: 70\r\n" +
      "From: <sip:relais@127.0.0.1>;tag=t1\r\n" +
      "To: <sip:127.0.0.1:5060>\r\n" +
      "Call-ID: c1\r\n" +
      "CSeq: 1 OPTIONS\r\n" +
      "Contact: <sip:relais@127.0.0.1:40000>\r\n" +
      "Accept: application/sdp\r\n" +
      "User-Agent: relais\r\n" +
      "Content-Length: 0\r\n\r\n",
  );
});

Deno.test("encodeOptions() brackets IPv6 addresses", () => {
  const text = new TextDecoder().decode(encodeOptions({ ...request, host: "::1" }));
  assert.match(text, /^OPTIONS sip:\[::1\]:5060 SIP\/2\.0\r\nVia: SIP\/2\.0\/UDP \[::1\]:40000;/);
});

Deno.test("parseResponse() reads a response as Asterisk writes it", () => {
  const response = parseResponse(bytes(
    "SIP/2.0 200 OK\r\n" +
      "Via: SIP/2.0/UDP 127.0.0.1:40000;rport=40000;received=127.0.0.1;branch=z9hG4bKb1\r\n" +
      "Call-ID: c1\r\nFrom: <sip:relais@127.0.0.1>;tag=t1\r\n" +
      "To: <sip:127.0.0.1>;tag=z9hG4bKb1\r\nCSeq: 1 OPTIONS\r\nContent-Length:  0\r\n\r\n",
  ));
  assert.deepEqual(response, { status: 200, branch: "b1", callId: "c1" });
  assert.ok(answers(response, request));
});

Deno.test("parseResponse() knows compact, folded and oddly cased headers, and the topmost Via", () => {
  const response = parseResponse(bytes(
    "SIP/2.0 503 Service Unavailable\r\nI : c1\r\nv: SIP/2.0/UDP\r\n  127.0.0.1:40000;Branch=z9hG4bKb1," +
      " SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKother\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKlast\r\n\r\n",
  ));
  assert.deepEqual(response, { status: 503, branch: "b1", callId: "c1" });
});

Deno.test("answers() is false for another Call-ID or another branch", () => {
  const response = { status: 200, branch: "b1", callId: "c1" };
  assert.equal(answers({ ...response, callId: "c2" }, request), false);
  assert.equal(answers({ ...response, branch: "b2" }, request), false);
});

Deno.test("parseResponse() refuses what is no SIP response", () => {
  const others = [
    "",
    "\0\0\0\0",
    "OPTIONS sip:127.0.0.1 SIP/2.0\r\nCall-ID: c1\r\n\r\n",
    "SIP/2.0 99 Low\r\nCall-ID: c1\r\n\r\n",
    "SIP/2.0 700 High\r\nCall-ID: c1\r\n\r\n",
    "SIP/3.0 200 OK\r\nCall-ID: c1\r\n\r\n",
    "SIP/2.0 200 OK\r\n\r\nCall-ID: c1\r\n",
    "HTTP/1.1 200 OK\r\nCall-ID: c1\r\n\r\n",
  ];
  for (const text of others) assert.equal(parseResponse(bytes(text)), null, JSON.stringify(text));
});

Deno.test("parseResponse() never throws, and reads back the ids of any well-formed response", () => {
  const token = fc.stringMatching(/^[A-Za-z0-9._-]{1,40}$/);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (garbage) => {
    parseResponse(garbage);
  }));
  const good = fc.tuple(fc.integer({ min: 100, max: 699 }), token, token);
  fc.assert(
    fc.property(good, fc.nat(), fc.nat({ max: 255 }), ([status, branch, callId], at, byte) => {
      const message = bytes(
        `SIP/2.0 ${status} x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK${branch}\r\nCall-ID: ${callId}\r\n\r\n`,
      );
      assert.deepEqual(parseResponse(message), { status, branch, callId });
      message[at % message.length] = byte;
      parseResponse(message);
      parseResponse(message.subarray(0, at % message.length));
    }),
  );
});
