/**
 * A restart in the middle of a move: the next daemon would find a node that neither serves nor rests, and
 * nobody would serve until the peer's patience ends. So the move ends first.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import type { Loop } from "./loop.ts";

/** A move that takes longer is broken off: an operator may restart the daemon because it hangs. */
const MOVE_PATIENCE_MS = 30_000;
const LOOK_MS = 20;

/** Waits until the node neither takes over nor hands back; bounded, never throws. */
export async function moveSettled(loop: Pick<Loop, "state">, clock: Clock): Promise<void> {
  const end = clock.nowMs() + MOVE_PATIENCE_MS;
  const moves = (): boolean => ["taking-over", "handing-back"].includes(loop.state.name);
  while (moves() && !loop.state.left && clock.nowMs() < end) await clock.sleep(LOOK_MS);
}
