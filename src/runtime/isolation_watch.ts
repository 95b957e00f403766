/**
 * A node at rest that is cut off never serves: right when it is the one that is cut off, and a dead end
 * when it is the only one left and its witnesses are wrong. After a while an operator should look.
 *
 * @module
 */

import type { StepResult } from "../core/step.ts";
import type { StateName } from "../core/types.ts";

/** A reboot of the switch lasts shorter. */
export const ISOLATED_ALERT_AFTER_MS = 60_000;

const AT_REST: readonly StateName[] = ["standby", "rejoining"];

/** Knows since when this node rests in isolation. */
export class IsolationWatch {
  #since: number | null = null;
  #alert: string | null = null;

  /** Looks; called after each turn. */
  pace({ state, situation }: Pick<StepResult, "state" | "situation">, now: number): void {
    const rests = AT_REST.includes(state.name) && situation.isolated;
    this.#since = rests ? this.#since ?? now : null;
    this.#alert = this.#since !== null && now - this.#since >= ISOLATED_ALERT_AFTER_MS
      ? `isolated: ${situation.isolatedWhy}; this node does not serve. If it is the only one left ` +
        "and the network is in order, correct the witnesses in the configuration and run: relais reload"
      : null;
  }

  /** The sentence for the status as long as it holds; null otherwise. */
  get alert(): string | null {
    return this.#alert;
  }
}
