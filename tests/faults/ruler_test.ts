import assert from "node:assert/strict";
import { lengths, VipRecord } from "./ruler.ts";

const VIP = "10.20.0.10";
const A = "02:00:00:00:00:0a";
const B = "02:00:00:00:00:0b";

/** A question each 10 ms from 1000 on, answered by these (text of letters, `.` for nobody). */
function record(answers: readonly string[]): VipRecord {
  const vip = new VipRecord(VIP, ["10.20.0.51", "10.20.0.52"]);
  answers.forEach((letters, i) => {
    const at = 1000 + 10 * i;
    const asker = `10.20.0.${51 + i % 2}`;
    vip.take({
      at,
      operation: "request",
      senderMac: "02:00:00:00:00:51",
      senderIp: asker,
      targetIp: VIP,
    });
    for (const letter of letters.replaceAll(".", "")) {
      const senderMac = letter === "a" ? A : B;
      vip.take({ at: at + 0.1, operation: "reply", senderMac, senderIp: VIP, targetIp: asker });
    }
  });
  return vip;
}

const ALL = { from: 0, to: 10_000 };

Deno.test("two answers to one question are two holders, up to the next question with one", () => {
  const vip = record(["a", "ab", "ab", "b", "a", "ab", "a"]);
  assert.deepEqual(vip.doubles(ALL), [{ from: 1010, to: 1030 }, { from: 1050, to: 1060 }]);
  assert.deepEqual(lengths(vip.doubles(ALL)), { longest: 20, total: 30 });
  assert.deepEqual(vip.doubles({ from: 1020, to: 1060 }), [{ from: 1020, to: 1030 }, {
    from: 1050,
    to: 1060,
  }]);
});

Deno.test("two hosts with the same MAC count as two", () => {
  assert.equal(record(["a", "aa", "a"]).doubles(ALL).length, 1);
});

Deno.test("nobody answers: from the last question with an answer to the next one", () => {
  const vip = record(["a", ".", ".", "b", "b", ".", "."]);
  assert.deepEqual(vip.nones({ from: 0, to: 1100 }), [
    { from: 1000, to: 1030 },
    { from: 1040, to: 1100 },
  ]);
  assert.equal(lengths(record(["a", "b"]).nones(ALL)).longest, 0);
  assert.deepEqual(vip.nones({ from: 1010, to: 1020 }), [{ from: 1010, to: 1020 }]);
});

Deno.test("an answer belongs to the question of the address that it is sent to", () => {
  const vip = record(["a", "a"]);
  const late = { operation: "reply", senderMac: B, senderIp: VIP, targetIp: "10.20.0.51" } as const;
  vip.take({ at: 1012, ...late });
  assert.deepEqual(vip.questions.map(({ answers }) => answers.length), [2, 1]);
  vip.take({ at: 1013, ...late, targetIp: "10.20.0.99" });
  assert.equal(vip.questions.flatMap(({ answers }) => answers).length, 3, "not asked by us");
});

Deno.test("announcements of both forms are noted, those of others are not", () => {
  const vip = record([]);
  for (const operation of ["request", "reply"] as const) {
    vip.take({ at: 5, operation, senderMac: A, senderIp: VIP, targetIp: VIP });
    vip.take({ at: 5, operation, senderMac: A, senderIp: "10.20.0.11", targetIp: "10.20.0.11" });
  }
  assert.deepEqual(vip.announced.map(({ operation }) => operation), ["request", "reply"]);
});

Deno.test("the pauses of the one who asks are known", () => {
  const vip = new VipRecord(VIP, ["10.20.0.51"]);
  for (const at of [10, 20, 90, 100]) {
    vip.take({ at, operation: "request", senderMac: A, senderIp: "10.20.0.51", targetIp: VIP });
  }
  assert.equal(vip.longestPause(ALL), 70);
  assert.equal(vip.longestPause({ from: 85, to: 200 }), 10);
});
