/**
 * Arguments and options of `relais return`; what it does is in `return.ts`.
 *
 * @module
 */

import { Argument, type Command } from "commander";
import { RETURN_CHOICES } from "../replication/return/return_types.ts";
import type { ControlClient } from "./control_client.ts";
import { stateDirOption } from "./program_options.ts";

/** Gives the verb its arguments. */
export function addReturnVerb(
  verb: Command,
  client: (options: { readonly runDir: string }) => ControlClient,
  choose: (run: () => Promise<number>) => void,
): void {
  verb
    .addArgument(
      new Argument("[action]", "default: list what would go back")
        .choices(["conflicts", "decide", "go", "settle"]),
    )
    .argument("[conflict]", "decide: the name of a conflict; settle: of a folder; or all")
    .addArgument(
      new Argument("[choice]", "decide: whose row it shall be").choices(RETURN_CHOICES),
    )
    .addOption(stateDirOption())
    .option("--dry-run", "list what would go back to the master; change nothing")
    .option("--json", "print as JSON")
    .action((action, conflict, choice, options) =>
      choose(async () =>
        (await import("./return.ts")).returning(client(options as { readonly runDir: string }), {
          action: action ?? null,
          conflict: conflict ?? null,
          choice: choice ?? null,
          dryRun: !!options.dryRun,
          json: !!options.json,
          stateDir: options.stateDir,
        })
      )
    );
}
