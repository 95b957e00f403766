// Three minutes of random faults in the laboratory. The seed comes from the commit: the same for everybody
// who tests it, another one for the next. `make lab-faults SEED=… MINUTES=20` plays it again, or longer.
import assert from "node:assert/strict";
import { runOk } from "../../src/os/process.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import { playLabFaults } from "./random_faults.ts";

const MINUTES = 3;

Deno.test("random faults in the laboratory: two, none and rest stay within their bounds", async () => {
  const git = ["git", "-C", REPOSITORY, "rev-parse", "--short=6", "HEAD"];
  const { stdout } = await runOk(git, { deadlineMs: 20_000 });
  const seed = Number(Deno.env.get("SEED") || parseInt(stdout.trim().slice(0, 6), 16));
  const { violations, faults } = await playLabFaults({ seed, minutes: MINUTES });
  assert.deepEqual(violations, [], `seed ${seed}`);
  assert.ok(faults.length > 0, "a fault was played");
});
