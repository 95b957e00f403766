/**
 * May a data set be taken in here? Never copy onto the one that serves (DESIGN section 7).
 *
 * @module
 */

import type { NodeState } from "./state.ts";
import type { DataSetName, Role, StateName } from "./types.ts";

/** What the receiver knows of the data set that is offered. */
export interface OfferedSet {
  readonly set: DataSetName;
  readonly epoch: number;
  readonly origin: Role;
  readonly fingerprint: string;
}

const AT_REST: readonly StateName[] = ["standby", "rejoining", "starting", "failed"];

/**
 * Why the set is refused, as a sentence; null when it is welcome.
 *
 * @param own this node's role and configuration fingerprint
 */
export function whyRefused(
  state: Pick<NodeState, "name" | "epoch" | "servedBeforeMaintenance">,
  offered: OfferedSet,
  own: { readonly role: Role; readonly fingerprint: string },
): string | null {
  const resting = AT_REST.includes(state.name) ||
    (state.name === "maintenance" && !state.servedBeforeMaintenance);
  const subject = `Cannot take in ${offered.set} of the ${offered.origin}`;
  if (!resting) {
    return `${subject} as this node is ${state.name}: data never goes onto the node that serves`;
  }
  if (offered.origin === own.role) {
    return `${subject} as this node is the ${own.role} itself: check which host has which address`;
  }
  if (offered.epoch < state.epoch) {
    return `${subject} as its epoch ${offered.epoch} is older than epoch ${state.epoch} here: ` +
      "somebody served after it was made";
  }
  if (offered.fingerprint !== own.fingerprint) {
    return `${subject} as the configurations differ: make /etc/relais/relais.toml equal on both hosts`;
  }
  return null;
}
