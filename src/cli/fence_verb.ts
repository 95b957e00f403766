/**
 * Arguments and options of `relais fence`; what it does is in `fence.ts`.
 *
 * @module
 */

import { Argument, type Command } from "commander";
import type { ControlClient } from "./control_client.ts";

/** What can be asked for. */
export const FENCE_ACTIONS = ["status", "test", "off", "on", "reboot", "confirm"] as const;

/** Gives the verb its arguments. */
export function addFenceVerb(
  verb: Command,
  client: (options: { readonly runDir: string }) => ControlClient,
  choose: (run: () => Promise<number>) => void,
  signal: AbortSignal,
): void {
  verb
    .addArgument(new Argument("<action>").choices(FENCE_ACTIONS))
    .option("--yes", "off, reboot, confirm: ask nothing")
    .option("--json", "print the result as JSON")
    .action((action: typeof FENCE_ACTIONS[number], options) =>
      choose(async () =>
        (await import("./fence.ts")).fence(client(options as { readonly runDir: string }), action, {
          yes: !!options.yes,
          json: !!options.json,
          signal,
        })
      )
    );
}
