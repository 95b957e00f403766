/**
 * How verbs are declared, and the options that several of them share.
 *
 * @module
 */

import { type Command, InvalidArgumentError, Option } from "commander";
import { DEFAULT_PATHS, type Paths } from "../runtime/paths.ts";

/** Declares a verb. */
export function verb(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).exitOverride()
    .helpOption("-h, --help", "print this help and exit");
}

/** `--config`. */
export function configOption(): Option {
  return new Option("--config <file>", "configuration").default(DEFAULT_PATHS.config);
}

/** `--key`. */
export function keyOption(): Option {
  return new Option("--key <file>", "cluster key").default(DEFAULT_PATHS.key);
}

/** `--state-dir`. */
export function stateDirOption(): Option {
  return new Option("--state-dir <dir>", "what survives a reboot").default(DEFAULT_PATHS.stateDir);
}

/** `--run-dir`. */
export function runDirOption(): Option {
  return new Option("--run-dir <dir>", "sockets and what ends with the boot")
    .default(DEFAULT_PATHS.runDir);
}

/** For tests and for many daemons on one machine: not in the help. */
export function unitDirOption(): Option {
  return new Option("--unit-dir <dir>", "where the drop-ins of the gate go")
    .default(DEFAULT_PATHS.unitDir).hideHelp();
}

/** An option that is given once for each network: `--vip voip=10.20.0.10`. */
export function perNetwork(flags: string, description: string): Option {
  return new Option(flags, description).default(new Map(), "none")
    .argParser((text, known: Map<string, string>) => {
      const [, network, value] = /^([a-z][a-z0-9_-]{0,30})=(.+)$/.exec(text) ?? [];
      if (network === undefined || value === undefined) {
        throw new InvalidArgumentError("it is NETWORK=VALUE, such as voip=10.20.0.11.");
      }
      if (known.has(network)) throw new InvalidArgumentError(`${network} is given twice.`);
      return new Map(known).set(network, value);
    });
}

/** `--wait`, of the planned moves. */
export function waitOption(): Option {
  return new Option("--wait <seconds>", "wait at most this long for the move to end")
    .default(120).argParser((text) => {
      const seconds = Number(text);
      if (!Number.isFinite(seconds) || seconds < 0) {
        throw new InvalidArgumentError("it is a number of seconds, 0 or more.");
      }
      return seconds;
    });
}

/** The paths among parsed options. */
export function pathsOf(options: Paths): Paths {
  const { config, key, stateDir, runDir, unitDir } = options;
  return { config, key, stateDir, runDir, unitDir };
}
