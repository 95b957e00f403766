import assert from "node:assert/strict";
import { judgeArp, judgeReversePath } from "./sysctl.ts";

Deno.test("judgeReversePath() warns of strict filtering where there are several networks", () => {
  const of = (...values: number[]): string[] =>
    judgeReversePath(values.map((value, i) => ({ name: `eth${i}`, value })))
      .map(({ severity }) => severity);
  assert.deepEqual(of(1), ["ok"]);
  assert.deepEqual(of(1, 2), ["warning", "ok"]);
  assert.deepEqual(of(0, 2), ["ok", "ok"]);
});

Deno.test("judgeArp() fails what keeps a host from answering, warns of two interfaces in one network", () => {
  const base = { name: "eth0", ignore: 0, announce: 0, filter: 0, sharesWith: [] as string[] };
  const severities = (change: Partial<typeof base>): string[] =>
    judgeArp({ ...base, ...change }).map(({ severity }) => severity);
  assert.deepEqual(severities({}), ["ok"]);
  assert.deepEqual(severities({ ignore: 8 }), ["failure"]);
  assert.deepEqual(severities({ filter: 1 }), ["warning"]);
  assert.deepEqual(severities({ sharesWith: ["eth1"] }), ["warning"]);
  assert.deepEqual(severities({ sharesWith: ["eth1"], ignore: 1 }), ["ok"]);
});
