/**
 * `relais maintenance on|off`.
 *
 * @module
 */

import type { ControlClient } from "./control_client.ts";
import { printResult } from "./report.ts";

/** Switches maintenance of this node. */
export async function maintenance(
  client: ControlClient,
  state: "on" | "off",
  options: { readonly json: boolean },
): Promise<number> {
  const command = state === "on" ? "maintenance-on" : "maintenance-off";
  return printResult(await client.command(command), options);
}
