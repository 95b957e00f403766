import assert from "node:assert/strict";
import { possibleLoss } from "./loss.ts";

const SETS = [
  { set: "astdb", received: { epoch: 4 }, receivedAgeMs: 5000 },
  { set: "database", received: { epoch: null }, receivedAgeMs: null },
] as const;
const INSTALLED = { origin: "slave", snapshotWallMs: 1, sha256: "00" } as const;

Deno.test("possibleLoss() of a slave names every set, also one that never came", () => {
  const live = { epoch: 9, installed: null };
  assert.deepEqual(possibleLoss({ role: "slave", sets: SETS, live }), [
    { set: "astdb", ageMs: 5000 },
    { set: "database", ageMs: null },
  ]);
});

Deno.test("possibleLoss() of a master that served last is empty", () => {
  const live = { epoch: 5, installed: null };
  assert.deepEqual(possibleLoss({ role: "master", sets: SETS, live }), []);
  const never = SETS.map((each) => ({ ...each, received: { epoch: null }, receivedAgeMs: null }));
  assert.deepEqual(possibleLoss({ role: "master", sets: never, live: null }), []);
});

Deno.test("possibleLoss() of a master is the astdb when the slave has served since", () => {
  const astdb = [{ set: "astdb", ageMs: 5000 }];
  for (const live of [null, { epoch: 3, installed: null }, { epoch: 4, installed: INSTALLED }]) {
    assert.deepEqual(possibleLoss({ role: "master", sets: SETS, live }), astdb);
  }
});
