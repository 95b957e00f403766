import assert from "node:assert/strict";
import { type OfferedSet, whyRefused } from "./receiving.ts";
import { STATE_NAMES } from "./types.ts";

const OFFER: OfferedSet = { set: "database", epoch: 3, origin: "master", fingerprint: "f" };
const OWN = { role: "slave", fingerprint: "f" } as const;
const REST = { name: "standby", epoch: 3, servedBeforeMaintenance: false } as const;

for (const name of STATE_NAMES) {
  const rests = ["standby", "rejoining", "starting", "failed", "maintenance"].includes(name);
  Deno.test(`whyRefused() ${rests ? "welcomes" : "refuses"} a data set in ${name} (B4, M2)`, () => {
    const reason = whyRefused({ ...REST, name }, OFFER, OWN);
    if (rests) assert.equal(reason, null);
    else assert.match(reason ?? "", /never goes onto the node that serves/);
  });
}

Deno.test("whyRefused() refuses in maintenance where the services may still run (B4)", () => {
  const serving = { ...REST, name: "maintenance", servedBeforeMaintenance: true } as const;
  assert.match(whyRefused(serving, OFFER, OWN) ?? "", /this node is maintenance/);
});

Deno.test("whyRefused() refuses a data set of its own role", () => {
  const reason = whyRefused(REST, { ...OFFER, origin: "slave" }, OWN);
  assert.match(reason ?? "", /this node is the slave itself: check which host has which address/);
});

Deno.test("whyRefused() refuses an older epoch and welcomes an equal or newer one", () => {
  assert.match(
    whyRefused(REST, { ...OFFER, epoch: 2 }, OWN) ?? "",
    /its epoch 2 is older than epoch 3 here/,
  );
  assert.equal(whyRefused(REST, { ...OFFER, epoch: 4 }, OWN), null);
});

Deno.test("whyRefused() refuses when the configurations differ, and says what to make equal", () => {
  const reason = whyRefused(REST, { ...OFFER, fingerprint: "g" }, OWN);
  assert.match(reason ?? "", /make \/etc\/relais\/relais\.toml equal on both hosts/);
});

Deno.test("whyRefused() names the set and where it comes from", () => {
  const active = { ...REST, name: "active" } as const;
  assert.match(
    whyRefused(active, { ...OFFER, set: "astdb" }, OWN) ?? "",
    /^Cannot take in astdb of the master as this node is active/,
  );
});
