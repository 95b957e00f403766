/**
 * What `relais cleanup` does about the services: with the VIPs gone the other host serves, and two PBXes of
 * one company must not run. They are stopped only where a daemon of this boot had them, and left alone
 * where they are somebody else's business: docs/design/survive.md.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { SERVICES_DEFAULTS } from "../config/defaults.ts";
import type { Config } from "../config/types.ts";
import { systemClock } from "../os/clock.ts";
import { Memory, type Previous, readBoot } from "../runtime/memory.ts";
import { createServiceDriver, type ServiceDriver } from "../services/driver.ts";
import { gatedUnits, gateFlag } from "../services/gate.ts";
import { SystemdDriver } from "../services/systemd.ts";

/** Whose business the services of this host are. */
export type Keeper =
  /** A daemon of this boot served, or had not come to rest: it is gone, and so must they be. */
  | "relais"
  /** It was in maintenance: an operator works here, and nothing but the VIPs is touched. */
  | "operator"
  /** At rest, or no daemon of this boot came that far: what runs was started by hand. */
  | "nobody";

/** What the last daemon of this boot left in the run directory. */
export interface Word {
  /** It left word: the file is there, readable or not. */
  readonly left: boolean;
  /** What it says; null: nothing, not readable, or of another boot. */
  readonly previous: Previous | null;
  /** The gate is open. */
  readonly open: boolean;
}

/** Reads {@linkcode Word}; a damaged file is told to `trouble` and counts as left. */
export function readWord(runDir: string, trouble: (text: string) => void): Word {
  let damaged = false;
  const memory = new Memory({
    stateDir: runDir, // Not read.
    runDir,
    boot: readBoot(systemClock),
    onTrouble: (text) => {
      damaged = true;
      trouble(text);
    },
  });
  const previous = memory.previous();
  return { left: previous !== null || damaged, previous, open: existsSync(gateFlag(runDir)) };
}

/**
 * Who keeps the services, by what was left. Pure. Without word an open gate was opened by hand; with word
 * that can't be read it was the daemon's. A daemon that dies again and again was last "rejoining", on its
 * way to rest: the services of the one that served before it still run.
 */
export function keeperOf({ left, previous, open }: Word): Keeper {
  if (previous === null) return left && open ? "relais" : "nobody";
  if (previous.state === "maintenance") return "operator";
  return previous.state === "standby" ? "nobody" : "relais";
}

/**
 * Stops the services, in reverse order, going on after a failure.
 *
 * @param options.config null: it can't be used; the units are then those that are behind the gate
 * @returns what was stopped, in words
 * @throws {Error} naming what still runs and what to do
 */
export async function stopServices(
  { config, runDir, unitDir, systemctl, signal }: {
    readonly config: Config | null;
    readonly runDir: string;
    readonly unitDir: string;
    readonly systemctl?: string;
    readonly signal: AbortSignal;
  },
): Promise<readonly string[]> {
  const driver = config === null
    ? gatedDriver({ runDir, unitDir, ...(systemctl === undefined ? {} : { systemctl }) })
    : createServiceDriver(config.services);
  if (driver.names.length === 0) return [];
  // Asked first: a stop command runs also when nothing does. What can't be read is stopped.
  if (await driver.running().catch(() => "some") === "none") return [];
  const told: string[] = [];
  await driver.stop({ signal, onUnit: (text) => told.push(text) });
  return told;
}

function gatedDriver(
  options: { readonly runDir: string; readonly unitDir: string; readonly systemctl?: string },
): ServiceDriver {
  const units = gatedUnits(options);
  if (units.length === 0) {
    throw new Error(
      "Cannot stop the services as the configuration, which names them, can't be used: the other " +
        "host serves now, stop them here by hand",
    );
  }
  const { startDeadlineS, stopDeadlineS } = SERVICES_DEFAULTS;
  return new SystemdDriver({
    units,
    unitsFromPreset: true,
    startDeadlineMs: 1000 * startDeadlineS,
    stopDeadlineMs: 1000 * stopDeadlineS,
    ...(options.systemctl === undefined ? {} : { systemctl: options.systemctl }),
  });
}
