/**
 * `relais fence`: the device that switches the peer off, seen, tried and used by hand.
 *
 * @module
 */

import type { StatusDocument } from "../health/types.ts";
import { canAsk, confirm, terminalAsker } from "./ask.ts";
import type { ControlClient } from "./control_client.ts";
import { EXIT } from "./exit_codes.ts";
import { fencingLines } from "./fencing_text.ts";
import type { FENCE_ACTIONS } from "./fence_verb.ts";
import { printResult } from "./report.ts";

/** Runs it. */
export async function fence(
  client: ControlClient,
  action: typeof FENCE_ACTIONS[number],
  { yes, json, signal }: {
    readonly yes: boolean;
    readonly json: boolean;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  const status = await client.status();
  if (action === "status") return show(status, json);
  const question = whatItDoes(action, status);
  if (question !== null && !yes) {
    if (!canAsk()) {
      const text = `Cannot ask as there is no terminal: relais fence ${action} --yes`;
      return printResult({ ok: false, text }, { json });
    }
    if (!await confirm(terminalAsker(signal), question)) {
      return printResult({ ok: false, text: "Nothing was done" }, { json });
    }
  }
  return printResult(await client.fence({ action }), { json });
}

/** The question before what cannot be undone; null: nothing is asked. Pure. */
export function whatItDoes(
  action: typeof FENCE_ACTIONS[number],
  { fencing, peer }: Pick<StatusDocument, "fencing" | "peer">,
): string | null {
  if (fencing === null || action === "test" || action === "on" || action === "status") return null;
  const { target, agent } = fencing;
  const now = peer.verdict === "alive"
    ? `It is alive${peer.report === null ? "" : `, in state ${peer.report.state}`}.`
    : `It is ${peer.verdict}.`;
  if (action === "confirm") {
    return `${now} Have you seen with your own eyes that the ${target} is without power? If it runs, ` +
      "both will serve.";
  }
  const what = action === "off" ? "Cut the power" : "Cut the power, and give it back,";
  return `${what} of the ${target} (${agent})? ${now}`;
}

function show({ fencing }: StatusDocument, json: boolean): number {
  if (json) {
    console.log(JSON.stringify(fencing));
    return EXIT.ok;
  }
  const none = "Fencing is not configured: see [fencing] in relais.toml(5)";
  console.log(fencing === null ? none : fencingLines(fencing).join("\n"));
  return EXIT.ok;
}
