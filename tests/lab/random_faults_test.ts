// Three minutes of random faults in the laboratory, always the same ones: a red run is the change's, not the
// seed's. `make lab-faults SEED=… MINUTES=20` draws others, or goes longer.
import assert from "node:assert/strict";
import { playLabFaults } from "./random_faults.ts";

const MINUTES = 3;
const SEED = 16338409;

Deno.test("random faults in the laboratory: two, none and rest stay within their bounds", async () => {
  const seed = Number(Deno.env.get("SEED") || SEED);
  const { violations, faults } = await playLabFaults({ seed, minutes: MINUTES });
  assert.deepEqual(violations, [], `seed ${seed}`);
  assert.ok(faults.length > 0, "a fault was played");
});
