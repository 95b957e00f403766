/**
 * Runs random cuts in a process of its own, so that the small disk is a tmpfs in a mount namespace that
 * ends with it; prints a JSON line per cut. Arguments: seed, count, directory to mount the tmpfs on
 * (optional; needs root).
 *
 * @module
 */

import { runOk } from "../../src/os/process.ts";
import { randomCuts } from "./database_cuts.ts";

const [seed, count, smallDisk = null] = Deno.args;
if (smallDisk !== null) {
  await runOk(["mount", "-t", "tmpfs", "-o", "size=256m,mode=755", "tmpfs", smallDisk], {
    deadlineMs: 5000,
  });
}
await randomCuts({
  seed: Number(seed),
  count: Number(count),
  smallDisk,
  onCut: (result) => console.log(JSON.stringify(result)),
});
