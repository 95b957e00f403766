/**
 * How a verb ends: errors become a sentence and an exit status.
 *
 * @module
 */

import { ControlResult } from "../health/control_app.ts";
import { messageOf } from "../os/errors.ts";
import { ControlError } from "./control_client.ts";
import { EXIT } from "./exit_codes.ts";

/** Runs a verb; what it throws is told to the operator. */
export async function report(run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    console.error(`relais: ${messageOf(error)}`);
    return error instanceof ControlError ? EXIT.noDaemon : EXIT.failed;
  }
}

/** Prints how a request ended and returns the exit status. */
export function printResult(result: ControlResult, { json }: { readonly json: boolean }): number {
  if (json) console.log(JSON.stringify(result));
  else if (result.ok) console.log(result.text);
  else console.error(`relais: ${result.text}`);
  return result.ok ? EXIT.ok : EXIT.failed;
}
