/**
 * Fencing in the status document; pure.
 *
 * @module
 */

import type { NodeState } from "../core/state.ts";
import { CONFIRM_VALID_MS } from "../core/fencing.ts";
import type { Fencer, FencingOutcome } from "../fencing/fencer.ts";
import type { StatusDocument } from "../health/types.ts";

type Shown = NonNullable<StatusDocument["fencing"]>;

/** Null: fencing is not configured. */
export function fencingStatus(
  fencer:
    | Pick<Fencer, "config" | "target" | "device" | "busy" | "last" | "checked" | "counters">
    | null,
  { state, now, wallNow }: {
    readonly state: Pick<NodeState, "peerOffSaidAt">;
    readonly now: number;
    readonly wallNow: number;
  },
): StatusDocument["fencing"] {
  if (fencer === null) return null;
  const { config, target, device, busy, last, checked, counters } = fencer;
  const outcome = (of: FencingOutcome | null): Shown["last"] =>
    of === null ? null : {
      action: of.action,
      ok: of.ok,
      text: of.text.slice(0, 2000),
      at: new Date(wallNow - (now - of.at)).toISOString(),
      tookMs: Math.round(of.tookMs),
    };
  const said = state.peerOffSaidAt;
  return {
    mode: config.mode,
    action: config.action,
    target,
    agent: device.agent,
    deadlineMs: config.deadlineMs,
    busy,
    last: outcome(last),
    checked: outcome(checked),
    confirmedForMs: said === null ? null : Math.max(0, Math.round(said + CONFIRM_VALID_MS - now)),
    counters: { ...counters },
  };
}

/** A device that does not answer is never silent; null: all is well, or nothing is known yet. */
export function fencingAlert(
  fencer: Pick<Fencer, "config" | "target" | "checked"> | null,
): string | null {
  if (fencer === null || fencer.checked === null || fencer.checked.ok) return null;
  const { config, target, checked } = fencer;
  const what = config.mode === "required"
    ? `this host would not take over from a dead ${target}`
    : `this host would take over without switching the ${target} off`;
  return `Fencing does not work (${checked.text}): ${what}. Mend it, then run: relais fence test`
    .slice(0, 2000);
}
