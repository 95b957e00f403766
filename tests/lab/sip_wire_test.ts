import assert from "node:assert/strict";
import { sipRequest } from "./sip_wire.ts";

Deno.test("sipRequest() reads tcpdump's line of a call to a contact", () => {
  const line =
    "1795626220.104218 02:4c:20:00:00:11 > 02:4c:20:00:00:50, ethertype IPv4 (0x0800), " +
    "length 905: 10.20.0.10.5060 > 10.20.0.50.5071: SIP: INVITE sip:1001@10.20.0.50:5071 SIP/2.0";
  assert.deepEqual(sipRequest(line), {
    fromMac: "02:4c:20:00:00:11",
    toMac: "02:4c:20:00:00:50",
    from: "10.20.0.10:5060",
    to: "10.20.0.50:5071",
    method: "INVITE",
  });
});

Deno.test("sipRequest() takes nothing else for a request", () => {
  for (
    const line of [
      "",
      "listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes",
      "1.5 02:4c:20:00:00:11 > 02:4c:20:00:00:50, ethertype IPv4 (0x0800), length 500: " +
      "10.20.0.10.5060 > 10.20.0.50.5071: SIP: SIP/2.0 200 OK",
      "\tRecord-Route: <sip:REGISTER >",
    ]
  ) assert.equal(sipRequest(line), null, line);
});
