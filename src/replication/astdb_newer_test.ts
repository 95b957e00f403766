import assert from "node:assert/strict";
import type { Role } from "../core/types.ts";
import { type AstdbStamp, isPeerAstdbNewer } from "./astdb_newer.ts";

const TEN_MINUTES = 600_000;

function stamp(epoch: number, origin: Role, snapshotWallMs: number, content: string): AstdbStamp {
  return { epoch, origin, snapshotWallMs, sha256: content, size: 1 };
}

/** name, role of the one who decides, its own, the candidate, newer? */
const TABLE: readonly [string, Role, AstdbStamp | null, AstdbStamp, boolean][] = [
  [
    "master back after a takeover",
    "master",
    stamp(4, "master", 1e6, "old"),
    stamp(5, "slave", 1.1e6, "new"),
    true,
  ],
  [
    "the same, slave's clock ten minutes behind",
    "master",
    stamp(4, "master", 1e6, "old"),
    stamp(5, "slave", 1e6 - TEN_MINUTES, "new"),
    true,
  ],
  [
    "the same, master's clock ten minutes behind",
    "master",
    stamp(4, "master", 1e6, "old"),
    stamp(5, "slave", 1e6 + TEN_MINUTES, "new"),
    true,
  ],
  [
    "the slave's from an epoch before our service",
    "master",
    stamp(6, "master", 1e6, "ours"),
    stamp(5, "slave", 9e9, "old"),
    false,
  ],
  [
    "reboot, no takeover: the peer's copy of ours is older than our last change",
    "master",
    stamp(4, "master", 1000, "x"),
    stamp(4, "master", 900, "y"),
    false,
  ],
  [
    "power cut rolled our file back: the peer's copy of ours is later and differs",
    "master",
    stamp(4, "master", 1000, "x"),
    stamp(4, "master", 1001, "y"),
    true,
  ],
  [
    "the peer's copy of ours is later, of the same content",
    "master",
    stamp(4, "master", 1000, "x"),
    stamp(4, "master", 1001, "x"),
    false,
  ],
  [
    "taken in the millisecond of our last change",
    "master",
    stamp(4, "master", 1000, "x"),
    stamp(4, "master", 1000, "y"),
    false,
  ],
  [
    "our record is lost (epoch 0) but our file was changed after the copy",
    "master",
    stamp(0, "master", 1000, "x"),
    stamp(4, "master", 900, "y"),
    false,
  ],
  [
    "our record is lost (epoch 0) and our file is older than the copy",
    "master",
    stamp(0, "master", 1000, "x"),
    stamp(4, "master", 1100, "y"),
    true,
  ],
  ["no file here", "master", null, stamp(0, "slave", 1, "any"), true],
  [
    "same content, whatever the stamps say",
    "master",
    stamp(1, "master", 1, "x"),
    stamp(9, "slave", 2, "x"),
    false,
  ],
  [
    "takeover: the master's copy against the slave's own of long ago",
    "slave",
    stamp(0, "slave", 5e9, "mine"),
    stamp(4, "master", 1e6, "copy"),
    true,
  ],
  [
    "takeover: first epochs equal",
    "slave",
    stamp(0, "slave", 5e9, "mine"),
    stamp(0, "master", 1e6, "copy"),
    true,
  ],
  [
    "first rollout: the slave's own against the master's",
    "master",
    stamp(0, "master", 1e6, "ours"),
    stamp(0, "slave", 5e9, "other"),
    false,
  ],
  [
    "hand-back without a new epoch: the master served after the slave",
    "master",
    stamp(5, "master", 1e6, "ours"),
    stamp(5, "slave", 5e9, "other"),
    false,
  ],
  [
    "the slave after such a hand-back gets the master's",
    "slave",
    stamp(5, "slave", 5e9, "mine"),
    stamp(5, "master", 1e6, "copy"),
    true,
  ],
  [
    "fetched during the slave's service, then at rest at the hand-back",
    "master",
    stamp(5, "slave", 1000, "fetched"),
    stamp(5, "slave", 1500, "rest"),
    true,
  ],
  [
    "fetched at the end, an older one in the spool",
    "master",
    stamp(5, "slave", 1500, "fetched"),
    stamp(5, "slave", 1000, "spool"),
    false,
  ],
  [
    "the slave serves again in a later epoch, its clock was set back",
    "master",
    stamp(5, "slave", 5e9, "fetched"),
    stamp(6, "slave", 1000, "again"),
    true,
  ],
  [
    "a copy of an older epoch of ours never beats what was installed later",
    "master",
    stamp(5, "slave", 1000, "fetched"),
    stamp(4, "master", 9e9, "old"),
    false,
  ],
];

for (const [name, me, live, candidate, newer] of TABLE) {
  Deno.test(`isPeerAstdbNewer() says ${newer ? "yes" : "no"}: ${name}`, () => {
    const decision = isPeerAstdbNewer({ me, live }, candidate);
    assert.equal(decision.newer, newer, decision.why);
    assert.ok(decision.why.length > 0);
  });
}

Deno.test("isPeerAstdbNewer() never lets two hosts each find the other's newer", () => {
  const stamps: AstdbStamp[] = [];
  for (const epoch of [4, 5]) {
    for (const origin of ["master", "slave"] as const) {
      for (const at of [1000, 2000]) {
        stamps.push(stamp(epoch, origin, at, `${epoch}${origin}${at}`));
      }
    }
  }
  for (const a of stamps) {
    for (const b of stamps) {
      const forward = isPeerAstdbNewer({ me: "master", live: a }, b).newer;
      const back = isPeerAstdbNewer({ me: "slave", live: b }, a).newer;
      // The master's file with a later change in a lower epoch is the lost-record case: see the table.
      if (a.origin === b.origin && a.epoch !== b.epoch) continue;
      assert.ok(!(forward && back), `${JSON.stringify(a)} ${JSON.stringify(b)}`);
    }
  }
});
