/**
 * `relais reload`: has the daemon read its configuration again.
 *
 * @module
 */

import type { ReloadResult } from "../health/control_app.ts";
import type { ControlClient } from "./control_client.ts";
import { EXIT } from "./exit_codes.ts";
import { printResult } from "./report.ts";

/** How each outcome ends; the same numbers as `check-config` where it is about the file. */
const EXIT_OF: Readonly<Record<ReloadResult["outcome"], number>> = {
  applied: EXIT.ok,
  unchanged: EXIT.ok,
  "bad-config": EXIT.badConfig,
  "no-config": EXIT.noConfig,
  misconfigured: EXIT.misconfigured,
  refused: EXIT.failed,
  busy: EXIT.timedOut,
};

/** Prints what was applied, or why nothing was. */
export async function reload(
  client: ControlClient,
  options: { readonly json: boolean },
): Promise<number> {
  const result = await client.reload();
  printResult(result, options);
  return EXIT_OF[result.outcome];
}
