/**
 * Reading SIPp's log.
 *
 * @module
 */

import assert from "node:assert/strict";
import { shortMessages } from "./sipp.ts";

Deno.test("shortMessages() reads what SIPp 3.6 writes, and skips what is no message", () => {
  const log = [
    "2026-11-25\t16:01:41.388182\t1795622501.388182\tS\t1-72@10.20.0.50\tCSeq:1 INVITE\tINVITE sip:1001@10.20.0.10 SIP/2.0",
    "2026-11-25\t16:01:44.049722\t1795622504.049722\tR\t1-77@10.20.0.50\tCSeq:19396 BYE\tBYE sip:1002@10.20.0.50:5080 SIP/2.0\r",
    "2026-11-25\t16:0", // cut off: SIPp is writing
    "",
  ].join("\n");
  assert.deepEqual(shortMessages(log), [
    {
      atS: 1795622501.388182,
      direction: "sent",
      callId: "1-72@10.20.0.50",
      text: "INVITE sip:1001@10.20.0.10 SIP/2.0",
    },
    {
      atS: 1795622504.049722,
      direction: "received",
      callId: "1-77@10.20.0.50",
      text: "BYE sip:1002@10.20.0.50:5080 SIP/2.0",
    },
  ]);
});
