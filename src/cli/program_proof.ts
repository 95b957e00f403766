/**
 * The verbs that prove that the standby is worth something: `verify` and `drill`.
 *
 * @module
 */

import { Argument, type Command, Option } from "commander";
import { DATA_SET_NAMES, type DataSetName } from "../core/types.ts";
import { controlSocket, DEFAULT_PATHS } from "../runtime/paths.ts";
import type { DaemonHandle } from "./daemon.ts";

type Run = () => Promise<number>;

/** Adds them to the command line. */
export function addProofVerbs(
  program: Command,
  handle: DaemonHandle,
  choose: (run: Run) => void,
): void {
  placed(program, "verify", "prove the copies on this host against their sources; change nothing")
    .addArgument(new Argument("[set...]", "default: all").choices([...DATA_SET_NAMES]))
    .option("--json", "print the findings as JSON")
    .action((sets: DataSetName[], options) =>
      choose(async () =>
        (await import("./verify.ts")).verify({
          paths: { ...DEFAULT_PATHS, ...pathsOf(options) },
          json: !!options.json,
          sets,
          signal: handle.abort.signal,
        })
      )
    );
  placed(
    program,
    "drill",
    "check, step by step, what a takeover would do here, and what it would lose",
  )
    .addOption(new Option("--dry-run", "only look (the only way)").makeOptionMandatory())
    .option("--json", "print the steps as JSON")
    .action((options) =>
      choose(async () =>
        (await import("./drill.ts")).drill({
          paths: { ...DEFAULT_PATHS, ...pathsOf(options) },
          json: !!options.json,
        })
      )
    );
}

/** Verbs about the arbiter. */
export function addArbiterVerbs(program: Command, choose: (run: Run) => void): void {
  placed(program, "arbiter", "who has the right to serve, and whether etcd answers")
    .addArgument(new Argument("<action>").choices(["status"]))
    .option("--json", "print the report as JSON")
    .action((_action: "status", options) =>
      choose(async () => {
        const { ControlClient } = await import("./control_client.ts");
        const { arbiterStatus } = await import("./arbiter.ts");
        const client = new ControlClient(controlSocket(options));
        return await arbiterStatus(client, { config: options.config, json: !!options.json });
      })
    );
}

interface PathOptions {
  readonly config: string;
  readonly key: string;
  readonly stateDir: string;
  readonly runDir: string;
}

function pathsOf({ config, key, stateDir, runDir }: PathOptions): PathOptions {
  return { config, key, stateDir, runDir };
}

/** A verb that needs to know where everything is. */
function placed(program: Command, name: string, description: string): Command {
  const { config, key, stateDir, runDir } = DEFAULT_PATHS;
  return program.command(name).description(description).exitOverride()
    .helpOption("-h, --help", "print this help and exit")
    .addOption(new Option("--config <file>", "configuration").default(config))
    .addOption(new Option("--key <file>", "cluster key").default(key))
    .addOption(new Option("--state-dir <dir>", "what survives a reboot").default(stateDir))
    .addOption(
      new Option("--run-dir <dir>", "sockets and what ends with the boot").default(runDir),
    );
}
