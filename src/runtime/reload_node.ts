/**
 * When a node of the new configuration may take the place of the one before it, in the same process, and
 * whether it mounts VIPs then (docs/design/reload.md). Pure.
 *
 * @module
 */

import type { NodeState } from "../core/state.ts";
import type { GoalInProgress } from "./goal_runner.ts";

/** What must be over before another node may follow, in words; null: nothing. Pure. */
export function busyWith(state: NodeState, current: GoalInProgress | null): string | null {
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
