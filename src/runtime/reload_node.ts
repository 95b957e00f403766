/**
 * How a node of the new configuration takes the place of the one before it, in the same process: when it
 * may, and how VIPs stay mounted across (docs/design/reload.md).
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { NodeState } from "../core/state.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { MountError } from "../vip/manager.ts";
import type { GoalInProgress } from "./goal_runner.ts";
import type { VipKeeper } from "./vip_keeper.ts";

/** Mounting what is new and dropping what is gone may take this long. */
const MOUNT_MS = 5000;

/**
 * A change of nodes that took longer than this counts as a stall of the loop: VIPs may have lapsed or are
 * about to, and only the core may say whether they are to be mounted again.
 */
const STALL_MS = 1500;

/** What must be over before another node may follow, in words; null: nothing. Pure. */
export function busyWith(state: NodeState, current: GoalInProgress | null): string | null {
  if (state.left || state.stopAsked) return "this node is leaving";
  if (current !== null) return `this node is ${state.name}: ${current.goal}, ${current.step}`;
  const { goal, name } = state;
  const isMoving = name === "starting" || name === "taking-over" || name === "handing-back";
  return isMoving || goal?.outcome === "running" ? `this node is ${name}` : null;
}

/**
 * Whether the VIPs of the new configuration are to be mounted: only on a node that holds those of the old
 * one, or that is active and had none. Pure.
 */
export function mountsAfterReload(
  { name }: Pick<NodeState, "name">,
  { wasHeld, hadVips }: { readonly wasHeld: ReadonlySet<string>; readonly hadVips: boolean },
): boolean {
  return hadVips ? wasHeld.size > 0 : name === "active";
}

/**
 * Takes the mounted VIPs over from a keeper that was released; mounts what is new, drops what is gone.
 * Never rejects: what could not be mounted is told, and tried again by the renewals.
 */
export async function resumeVips(keeper: VipKeeper, options: {
  readonly clock: Clock;
  readonly config: LocalConfig;
  readonly mounts: boolean;
  readonly wasHeld: ReadonlySet<string>;
  /** Since then nobody renewed the VIPs. */
  readonly stoppedAt: number;
  readonly onLapsed: (lateMs: number) => void;
  readonly onTrouble: (text: string) => void;
}): Promise<void> {
  const { clock, config, mounts, wasHeld, stoppedAt, onLapsed, onTrouble } = options;
  keeper.applyInterfaces();
  if (!mounts) return;
  const wanted = new Set(config.networks.flatMap(({ vips }) => vips));
  try {
    await keeper.adopt();
    const lateMs = clock.nowMs() - stoppedAt;
    const isLost = [...wasHeld].some((vip) => wanted.has(vip) && !keeper.held.has(vip));
    if (isLost) {
      // As when a renewal comes too late: somebody else may hold them by now. The core looks first.
      await keeper.drop();
      return onLapsed(Math.max(lateMs, config.heartbeat.isolatedAfterMs));
    }
    if (lateMs > STALL_MS) return onLapsed(lateMs);
    await keeper.mount(AbortSignal.timeout(MOUNT_MS));
  } catch (error) {
    for (const text of error instanceof MountError ? error.missing : [messageOf(error)]) {
      onTrouble(text);
    }
  }
  keeper.announce();
}
