/**
 * `relais fence`: what an operator asks of the device that switches the peer off.
 *
 * @module
 */

import type { FenceRequest, FenceResult } from "../health/control_app.ts";
import type { Fencer, Power } from "../fencing/fencer.ts";
import { messageOf } from "../os/errors.ts";
import { CONFIRM_VALID_MS } from "../core/fencing.ts";
import { formatAge } from "./data_sets.ts";
import type { Node } from "./node.ts";

/** Answers it; every change of the power is in the history, whoever asked for it. */
export async function fenceControl(
  node: Node,
  fencer: Fencer | null,
  { action }: FenceRequest,
  signal: AbortSignal,
): Promise<FenceResult> {
  if (fencer === null) {
    return no("Fencing is not configured: see [fencing] in relais.toml(5)");
  }
  switch (action) {
    case "test":
      return await test(node, fencer, signal);
    case "confirm":
      return confirm(node, fencer);
    case "off":
    case "on":
    case "reboot":
      return await power(node, fencer, action);
  }
}

async function test(node: Node, fencer: Fencer, signal: AbortSignal): Promise<FenceResult> {
  const before = fencer.checked?.ok ?? true;
  const checked = await fencer.check();
  if (checked.ok !== before) node.note(checked.ok ? "FENCING-GOOD" : "FENCING-BAD", checked.text);
  if (!checked.ok) return no(`Fencing does not work: ${checked.text}`, "unknown");
  try {
    const status = await fencer.status(signal);
    const does = `${checked.text}; ${status.text}`;
    const odd = oddity(node, fencer, status.power);
    return odd === null
      ? { ok: true, text: `Fencing works: ${does}`, power: status.power }
      : no(`${does}; ${odd}`, status.power);
  } catch (error) {
    return no(`${checked.text}, but its status could not be read: ${messageOf(error)}`, "unknown");
  }
}

/** A device that says the contrary of what is heard is probably that of another host. */
function oddity(node: Node, fencer: Fencer, power: Power): string | null {
  const heard = node.loop.last?.situation.verdict === "alive";
  if (!heard || power !== "off") return null;
  return `but the ${fencer.target} is heard alive: this is the power of another host. Correct ` +
    `fencing.${fencer.target} in the configuration`;
}

async function power(
  node: Node,
  fencer: Fencer,
  action: "off" | "on" | "reboot",
): Promise<FenceResult> {
  try {
    // Not ended with the request: half of it done would be worse than all of it.
    const never = new AbortController().signal;
    const text = await fencer.power(action, never);
    node.note("FENCE", `asked by an operator: ${text}`);
    return { ok: true, text, power: action === "off" ? "off" : "on" };
  } catch (error) {
    const text = messageOf(error);
    node.note("FENCE", `asked by an operator: ${text}`);
    return no(text, "unknown");
  }
}

function confirm(node: Node, fencer: Fencer): FenceResult {
  const { state, last } = node.loop;
  const { target } = fencer;
  if (last?.situation.verdict === "alive") {
    return no(`Refused: the ${target} is heard alive. Switch it off first`);
  }
  if (state.name === "active" || state.name === "handing-back" || state.name === "maintenance") {
    return no(`Refused: this node is ${state.name}, no takeover waits for that word here`);
  }
  node.loop.push({ type: "command", command: "fence-confirm" });
  node.note("FENCE-CONFIRM", `an operator says that the ${target} is off`);
  return {
    ok: true,
    text:
      `Believed for ${formatAge(CONFIRM_VALID_MS)}, unless the ${target} is heard: a takeover ` +
      "goes on without the agent",
    power: "off",
  };
}

function no(text: string, power: Power = "unknown"): FenceResult {
  return { ok: false, text, power };
}
