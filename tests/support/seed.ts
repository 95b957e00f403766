/**
 * One seed for the random tests of a file that imports this module: continuous integration and a developer
 * see the same cases. `FC_SEED=N deno test …` tries others; fast-check prints the seed of a failure.
 *
 * @module
 */

import fc from "fast-check";

/** The seed of this run. */
export const SEED = Number(Deno.env.get("FC_SEED") ?? 20261122);

fc.configureGlobal({ seed: SEED });
