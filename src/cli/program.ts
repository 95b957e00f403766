/**
 * The verbs and their options; what each does is in the file of its name, which is loaded when it is
 * called: the daemon, which runs for months, keeps no doctor and no pairing in memory.
 *
 * @module
 */

import { Argument, Command, CommanderError, Option } from "commander";
import { buildInfo } from "../build_info.ts";
import { DATA_SET_NAMES, type DataSetName } from "../core/types.ts";
import { writeAll } from "../os/write_all.ts";
import { controlSocket, DEFAULT_PATHS } from "../runtime/paths.ts";
import { ControlClient } from "./control_client.ts";
import type { DaemonHandle } from "./daemon.ts";
import { EXIT } from "./exit_codes.ts";
import {
  configOption,
  keyOption,
  pathsOf,
  runDirOption,
  stateDirOption,
  unitDirOption,
  verb,
  waitOption,
} from "./program_options.ts";
import { addSetupVerbs } from "./program_setup.ts";
import { addArbiterVerbs, addProofVerbs } from "./program_proof.ts";
import { addFenceVerb } from "./fence_verb.ts";
import { report } from "./report.ts";
import { addReturnVerb } from "./return_verb.ts";
import { version } from "./version.ts";

type Run = () => Promise<number>;

/** Runs `args` (without the program's name) and returns the exit status. Never throws for a user's mistake. */
export async function runCli(args: readonly string[], handle: DaemonHandle): Promise<number> {
  // Started by ssh in the place of a terminal: all arguments are one question.
  const askpass = Deno.env.get("RELAIS_ASKPASS") ?? "";
  if (askpass !== "") {
    return await report(async () =>
      (await import("../pairing/askpass.ts")).askpassMain(askpass, args.join(" "))
    );
  }
  // Not a verb for people: the part of relais that PostgreSQL knows as its own user.
  if (args[0] === "database-worker") {
    return await (await import("../replication/database_worker.ts")).databaseWorkerMain(
      args.slice(1),
    );
  }
  if (args[0] === "database-tables") {
    return await (await import("../replication/tables_worker.ts")).tablesMain(args.slice(1));
  }
  // Nor this: what `relais pair` runs on the other host, within the session of an administrator.
  if (args[0] === "pair-peer") {
    return await report(async () => (await import("./pair_peer.ts")).pairPeer(handle));
  }
  let chosen: Run | null = null;
  const program = createProgram(handle, (run) => {
    chosen = run;
  });
  try {
    program.parse([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  // TypeScript cannot see that the callback has run.
  const run = chosen as Run | null;
  if (run === null) {
    program.outputHelp({ error: true });
    return EXIT.usage;
  }
  return await report(run);
}

/** The whole command line; also read by the generator of completions and man pages. */
export function createProgram(handle: DaemonHandle, choose: (run: Run) => void): Command {
  const program = new Command("relais")
    .description("Keeps a company's telephones working when its PBX host dies.")
    .version(`relais ${buildInfo().label}`, "-V, --version", "print the version and exit")
    .helpOption("-h, --help", "print this help and exit")
    .helpCommand(false)
    .enablePositionalOptions()
    .showHelpAfterError("See: relais --help")
    .exitOverride();
  const client = (options: { readonly runDir: string }): ControlClient =>
    new ControlClient(controlSocket(options));
  addDaemonVerbs(program, handle, choose);
  addClientVerbs(program, { client, handle }, choose);
  addSetupVerbs(program, handle, choose);
  addLocalVerbs(program, handle, choose);
  addProofVerbs(program, handle, choose);
  addArbiterVerbs(program, choose);
  return program;
}

function addDaemonVerbs(program: Command, handle: DaemonHandle, choose: (run: Run) => void): void {
  verb(program, "daemon", "run the daemon (systemd does this)")
    .addOption(configOption())
    .addOption(keyOption())
    .addOption(stateDirOption())
    .addOption(runDirOption())
    .addOption(unitDirOption())
    .addOption(
      new Option("--log-level <level>", "what is logged").default("info")
        .choices(["debug", "info", "warning", "error"]),
    )
    .action((options) =>
      choose(async () =>
        (await import("./daemon.ts")).daemon({
          paths: pathsOf(options),
          logLevel: options.logLevel,
        }, handle)
      )
    );
  verb(program, "receive", "what the peer may run here through ssh (forced command)")
    .argument("[words...]", "the request; default: SSH_ORIGINAL_COMMAND")
    .addOption(configOption())
    .addOption(keyOption())
    .addOption(stateDirOption())
    .addOption(runDirOption())
    .allowUnknownOption()
    .passThroughOptions()
    .action((words: string[], options) =>
      choose(async () => {
        handle.onRequest?.("relais receive");
        const { unitDir } = DEFAULT_PATHS;
        const paths = pathsOf({ ...options, unitDir });
        return (await import("./receive.ts")).receiveVerb({
          words,
          paths,
          signal: handle.abort.signal,
        });
      })
    );
}

function addClientVerbs(
  program: Command,
  { client, handle }: {
    readonly client: (options: { readonly runDir: string }) => ControlClient;
    readonly handle: DaemonHandle;
  },
  choose: (run: Run) => void,
): void {
  verb(program, "status", "show this node, its peer, VIPs, services and data sets")
    .addOption(runDirOption())
    .option("--json", "print the status document (docs/status-json.md)")
    .option("--watch", "print again each second until interrupted")
    .action((options) =>
      choose(async () =>
        (await import("./status.ts")).status(client(options), {
          json: !!options.json,
          watch: !!options.watch,
        })
      )
    );
  for (const name of ["switchover", "failback"] as const) {
    const what = name === "switchover"
      ? "move the service to the other node, in order; it stays there until you move it back"
      : "give the service back to the master now";
    verb(program, name, what)
      .addOption(runDirOption())
      .option("--json", "print the result as JSON")
      .addOption(waitOption())
      .action((options) =>
        choose(async () =>
          (await import("./move.ts")).move(client(options), name, {
            json: !!options.json,
            waitS: options.wait,
          })
        )
      );
  }
  verb(program, "maintenance", "observe and report, act on nothing")
    .addArgument(new Argument("<on|off>").choices(["on", "off"]))
    .addOption(runDirOption())
    .option("--json", "print the result as JSON")
    .action((state: "on" | "off", options) =>
      choose(async () =>
        (await import("./maintenance.ts")).maintenance(client(options), state, {
          json: !!options.json,
        })
      )
    );
  verb(program, "reload", "read the configuration again, apply what differs, or nothing at all")
    .addOption(runDirOption())
    .option("--json", "print the result as JSON")
    .action((options) =>
      choose(async () =>
        (await import("./reload.ts")).reload(client(options), { json: !!options.json })
      )
    );
  verb(program, "sync", "copy data sets to the peer now")
    .addArgument(new Argument("[set]").choices([...DATA_SET_NAMES, "all"]).default("all"))
    .addOption(runDirOption())
    .option("--json", "print progress and result as JSON lines")
    .option("--allow-mass-deletion", "files: delete on the peer, however many are gone here")
    .action((set: DataSetName | "all", options) =>
      choose(async () =>
        (await import("./sync.ts")).sync(client(options), set, {
          json: !!options.json,
          allowMassDeletion: !!options.allowMassDeletion,
        })
      )
    );
  addFenceVerb(
    verb(program, "fence", "the device that switches the other host off: see it, try it, use it")
      .addOption(runDirOption()),
    client,
    choose,
    handle.abort.signal,
  );
  addReturnVerb(
    verb(program, "return", "what a hand-back brings: list it, settle conflicts of rows and files")
      .addOption(runDirOption()),
    client,
    choose,
  );
  verb(program, "stream", "let the slave follow the database (PostgreSQL's logical replication)")
    .addArgument(new Argument("<action>").choices(["setup", "status", "teardown"]))
    .addOption(configOption())
    .addOption(stateDirOption())
    .addOption(runDirOption())
    .option("--yes", "ask nothing; PostgreSQL is restarted only with --restart")
    .option("--restart", "restart PostgreSQL if wal_level asks for it")
    .option("--json", "print the result as JSON")
    .action((action: "setup" | "status" | "teardown", options) =>
      choose(async () =>
        (await import("./stream.ts")).stream({
          paths: pathsOf({ ...DEFAULT_PATHS, ...options }),
          action,
          json: !!options.json,
          yes: !!options.yes,
          restart: !!options.restart,
        })
      )
    );
  verb(program, "announce", "announce the VIPs of this node to the network again")
    .addOption(runDirOption())
    .option("--json", "print the result as JSON")
    .action((options) =>
      choose(async () =>
        (await import("./announce.ts")).announce(client(options), { json: !!options.json })
      )
    );
}

function addLocalVerbs(program: Command, handle: DaemonHandle, choose: (run: Run) => void): void {
  verb(program, "check-config", "check a configuration file; touch nothing")
    .argument("[file]", "the file", DEFAULT_PATHS.config)
    .addOption(new Option("--role <role>", "check as this host").choices(["master", "slave"]))
    .option("--host", "also check that this host is one of the two")
    .option("--json", "print the result as JSON")
    .action((path: string, options) =>
      choose(async () => {
        const { ownAddresses } = await import("../runtime/preflight.ts");
        const { checkConfig } = await import("./check_config.ts");
        const own = options.host ? { ownAddresses: await ownAddresses() } : {};
        const { exitCode, stdout, stderr } = await checkConfig({
          path,
          role: options.role ?? null,
          json: !!options.json,
          ...own,
        });
        await print(Deno.stdout, stdout);
        await print(Deno.stderr, stderr);
        return exitCode;
      })
    );
  verb(program, "doctor", "check both hosts for what has bitten others; change nothing")
    .addOption(configOption())
    .addOption(keyOption())
    .addOption(stateDirOption())
    .addOption(runDirOption())
    .option("--json", "print the findings as JSON (docs/doctor.md)")
    .option("--quiet", "print only what is to be mended")
    .action((options) =>
      choose(async () =>
        (await import("./doctor.ts")).doctor({
          paths: pathsOf(options),
          json: !!options.json,
          quiet: !!options.quiet,
        })
      )
    );
  verb(program, "keygen", "make a cluster key, or replace the one of both hosts")
    .argument("[file]", "where it goes", DEFAULT_PATHS.key)
    .addOption(configOption())
    .addOption(runDirOption())
    .option("--rotate", "replace the key on both hosts without a gap, or go on with that")
    .option("--finish", "keep only the key that signs, on this host alone")
    .action((path: string, { config, runDir, rotate, finish }) =>
      choose(async () => {
        if (rotate && finish) throw new Error("Cannot do both: --rotate or --finish");
        if (rotate || finish) {
          const paths = { ...DEFAULT_PATHS, config, runDir, key: path };
          const { keygenFinish, keygenRotate } = await import("./keygen_rotate.ts");
          if (finish) return await keygenFinish(paths);
          handle.onRequest?.("relais keygen");
          return await keygenRotate(paths, handle.abort.signal);
        }
        await (await import("./keygen.ts")).keygen(path);
        console.log(
          `Made ${path} (mode 600). Copy it to the other host, then run on both: relais reload`,
        );
        return EXIT.ok;
      })
    );
  verb(
    program,
    "cleanup",
    "undo what relais did to this node: VIPs, routes, shield, services; safe to repeat",
  )
    .addOption(configOption())
    .addOption(runDirOption())
    .addOption(unitDirOption())
    .option(
      "--all",
      "also remove the gate, and leave the services: they start without relais again",
    )
    .option("--json", "print what was undone as JSON")
    .action((options) =>
      choose(async () => {
        const { config, runDir, unitDir } = options;
        return (await import("./cleanup.ts")).cleanup({
          config,
          runDir,
          unitDir,
          all: !!options.all,
          json: !!options.json,
        });
      })
    );
  verb(program, "version", "print the version and how this program was built")
    .option("--json", "print as JSON")
    .action((options) => choose(() => Promise.resolve(version({ json: !!options.json }))));
}

async function print(out: typeof Deno.stdout, text: string): Promise<void> {
  await writeAll(out, new TextEncoder().encode(text));
}
