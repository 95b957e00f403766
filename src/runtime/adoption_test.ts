import assert from "node:assert/strict";
import { STATE_NAMES } from "../core/types.ts";
import { ADOPT_WITH_VIPS_MS, type Found, hasServed, isAdoptable } from "./adoption.ts";
import type { Previous } from "./memory.ts";

const ACTIVE: Previous = { state: "active", serving: true, agoMs: 500 };
const WITH_VIPS: Found = { hasVips: true, allMounted: true, running: "all", deadAfterMs: 3000 };
const WITHOUT_VIPS: Found = { ...WITH_VIPS, hasVips: false, allMounted: false };

Deno.test("isAdoptable() takes what an active daemon held a moment ago, with VIPs and without", () => {
  assert.equal(isAdoptable(ACTIVE, WITH_VIPS), true);
  assert.equal(isAdoptable(ACTIVE, WITHOUT_VIPS), true);
});

Deno.test("isAdoptable() takes what a node in maintenance held, if it served before", () => {
  assert.equal(isAdoptable({ ...ACTIVE, state: "maintenance" }, WITH_VIPS), true);
  const rested: Previous = { state: "maintenance", serving: false, agoMs: 500 };
  // Somebody started the services by hand meanwhile: no reason to serve.
  assert.equal(isAdoptable(rested, WITHOUT_VIPS), false);
  assert.equal(isAdoptable(rested, WITH_VIPS), false);
});

Deno.test("isAdoptable() takes nothing when there was no daemon on this boot, or it was between two states", () => {
  assert.equal(isAdoptable(null, WITH_VIPS), false);
  for (const state of STATE_NAMES) {
    if (state === "active" || state === "maintenance") continue;
    assert.equal(isAdoptable({ ...ACTIVE, state }, WITH_VIPS), false, state);
    assert.equal(hasServed({ ...ACTIVE, state }), false, state);
  }
});

Deno.test("isAdoptable() takes nothing that is not whole or too old", () => {
  assert.equal(isAdoptable(ACTIVE, { ...WITH_VIPS, allMounted: false }), false);
  assert.equal(isAdoptable({ ...ACTIVE, agoMs: ADOPT_WITH_VIPS_MS }, WITH_VIPS), false);
  assert.equal(isAdoptable({ ...ACTIVE, agoMs: 9000 }, WITH_VIPS), true, "the kernel holds them");
  assert.equal(isAdoptable({ ...ACTIVE, agoMs: 3000 }, WITHOUT_VIPS), false, "the peer may serve");
  assert.equal(isAdoptable(ACTIVE, { ...WITHOUT_VIPS, running: "none" }), false);
});
