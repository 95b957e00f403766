/**
 * `relais announce`.
 *
 * @module
 */

import type { ControlClient } from "./control_client.ts";
import { printResult } from "./report.ts";

/** Announces the held VIPs again, as request and as reply, in a burst. */
export async function announce(
  client: ControlClient,
  options: { readonly json: boolean },
): Promise<number> {
  return printResult(await client.announce(), options);
}
