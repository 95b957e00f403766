/**
 * The peer's last report may be older than what it has done since: before a move is refused or given up,
 * it is heard once more.
 *
 * @module
 */

import type { Clock } from "../os/clock.ts";
import type { Node } from "./node.ts";

/** The peer is heard within this time, or what it said last counts. */
const HEAR_MS = 1000;
const HEAR_POLL_MS = 10;

/** Asks for the peer's health and waits until it has come and was looked at; bounded, never throws. */
export async function hearPeer(node: Node, clock: Clock): Promise<void> {
  const askedAt = clock.nowMs();
  node.links.askNow();
  while ((node.links.report?.at ?? 0) < askedAt && clock.nowMs() - askedAt < HEAR_MS) {
    await clock.sleep(HEAR_POLL_MS);
  }
  node.loop.kick();
  await clock.sleep(HEAR_POLL_MS);
}
