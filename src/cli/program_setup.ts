/**
 * The verbs that set the two hosts up.
 *
 * @module
 */

import { type Command, Option } from "commander";
import type { DaemonHandle } from "./daemon.ts";
import { configOption, keyOption, perNetwork, verb } from "./program_options.ts";
/** `init` and `pair`. */
export function addSetupVerbs(
  program: Command,
  handle: DaemonHandle,
  choose: (run: () => Promise<number>) => void,
): void {
  verb(program, "init", "write a first configuration from what is found here, and your answers")
    .addOption(configOption())
    .option("--name <name>", "of the pair of hosts")
    .addOption(new Option("--preset <preset>", "product").choices(["xivo", "wazo", "none"]))
    .addOption(
      perNetwork(
        "--master <network=address>",
        "own address of the master (this host's may be left out)",
      ),
    )
    .addOption(perNetwork("--slave <network=address>", "own address of the slave"))
    .addOption(perNetwork("--vip <network=address>", "virtual IP"))
    .addOption(
      perNetwork(
        "--gateway <network=address>",
        "witness and default route of the VIP; NETWORK=- for none",
      ),
    )
    .addOption(perNetwork("--prefix <network=length>", "prefix length"))
    .addOption(
      perNetwork("--interface <network=name>", "interface, if not the one with our address"),
    )
    .option("--database <name>", "PostgreSQL database to copy (without a preset)")
    .option("--print", "write to standard output only")
    .option("--force", "replace a configuration; the old one stays beside it")
    .option("--yes", "ask nothing")
    .action((options) =>
      choose(async () =>
        (await import("./init.ts")).init({
          config: options.config,
          flags: {
            name: options.name ?? null,
            preset: options.preset ?? null,
            database: options.database ?? null,
            master: options.master,
            slave: options.slave,
            vip: options.vip,
            gateway: options.gateway,
            prefix: options.prefix,
            interface: options.interface,
          },
          force: !!options.force,
          print: !!options.print,
          yes: !!options.yes,
        })
      )
    );
  verb(program, "pair", "set up the trust between the two hosts: keys, host keys, cluster key")
    .argument("[peer]", "[USER@]HOST; default: root at the other host's first address")
    .addOption(configOption())
    .addOption(keyOption())
    .option("--identity <file>", "private key for this first contact")
    .option("--fingerprint <text>", "what the peer's host key must be (SHA256:...)")
    .option("--program <file>", "where relais is on both hosts, if not where this one is")
    .option("--force", "replace another configuration or cluster key of the peer")
    .option("--remove", "take the trust back, on both hosts")
    .option("--local", "with --remove: on this host only")
    .option("--dry-run", "show what would change, change nothing")
    .option("--yes", "ask nothing")
    .action((peer: string | undefined, options) =>
      choose(async () => {
        handle.onRequest?.("relais pair");
        return (await import("./pair.ts")).pair({
          peer: peer ?? null,
          config: options.config,
          key: options.key,
          identity: options.identity ?? null,
          fingerprint: options.fingerprint ?? null,
          program: options.program ?? null,
          force: !!options.force,
          yes: !!options.yes,
          dryRun: !!options.dryRun,
          remove: !!options.remove,
          local: !!options.local,
        }, handle.abort.signal);
      })
    );
}
