/**
 * For how long two hosts answer for the VIP of network voip, as a third one sees it by ARP.
 *
 * @module
 */

import { poll } from "../support/poll.ts";
import type { Laboratory } from "./laboratory.ts";
import { ARP_EVERY_MS, type Outside } from "./outside.ts";

/** So many requests in a row with one and the same answer: two seconds. */
const SETTLED_REQUESTS = 100;

/** What the watcher saw since a mark. */
export interface Settled {
  /** Time during which two hosts answered, in milliseconds (as counted by requests). */
  readonly twoHoldersMs: number;
  /** From the mark to the last answer of another host than the one that is left. */
  readonly settledAfterMs: number;
}

/**
 * Waits until nobody but `host` has answered for the VIP during two seconds.
 *
 * @param phase the last mark of {@linkcode Outside}
 */
export async function untilOnlyHolder(
  host: "master" | "slave",
  scene: { readonly laboratory: Laboratory; readonly outside: Outside },
  { phase, deadlineMs }: { readonly phase: string; readonly deadlineMs: number },
): Promise<Settled> {
  const mac = scene.laboratory.mac(host);
  let others = -1;
  let changed = { sent: 0, answered: 0 };
  return await poll(async () => {
    const { sent, by, answeredByTwo } = await scene.outside.watcher.summary(phase, "arp");
    const answered = by[mac] ?? 0;
    const foreign = Object.values(by).reduce((sum, count) => sum + count, 0) - answered;
    if (foreign + answeredByTwo !== others) {
      others = foreign + answeredByTwo;
      changed = { sent: others === 0 ? 0 : sent, answered };
    }
    if (answered - changed.answered < SETTLED_REQUESTS) return null;
    return {
      twoHoldersMs: answeredByTwo * ARP_EVERY_MS,
      settledAfterMs: changed.sent * ARP_EVERY_MS,
    };
  }, {
    deadlineMs,
    everyMs: 100,
    what: `${host} as the only one that answers for the VIP`,
    instead: () => `others answered ${others} times`,
  });
}
