/**
 * A parser that never ends on one input, for the test of the watchdog.
 *
 * @module
 */

import { bytesOf, textOf } from "./bytes.ts";
import { stateless, type Target } from "./target.ts";

/** In the place of the catalogue. */
export const TARGETS: readonly Target[] = [stateless({
  name: "endless",
  files: [],
  corpus: () => ["short", "a".repeat(64), "b"].map(bytesOf),
  // One way to read `a`s would do; this tries all of them.
  feed: (bytes) => textOf(bytes) === "a".repeat(64) && /^(a+)+!$/.test(textOf(bytes)),
})];
