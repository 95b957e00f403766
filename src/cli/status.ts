/**
 * `relais status`.
 *
 * @module
 */

import type { ControlClient } from "./control_client.ts";
import { EXIT } from "./exit_codes.ts";
import { formatStatus } from "./status_text.ts";
import { systemClock } from "../os/clock.ts";

const WATCH_EVERY_MS = 1000;

/** Prints the status once, or each second. Exit status 0 whatever the state is. */
export async function status(
  client: ControlClient,
  { json, watch }: { readonly json: boolean; readonly watch: boolean },
): Promise<number> {
  const colour = !json && Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
  for (;;) {
    const document = await client.status();
    if (json) console.log(JSON.stringify(document, null, watch ? 0 : 2));
    else {
      if (watch && colour) console.log("\x1b[2J\x1b[H");
      console.log(formatStatus(document, { colour }));
    }
    if (!watch) return EXIT.ok;
    await systemClock.sleep(WATCH_EVERY_MS);
  }
}
