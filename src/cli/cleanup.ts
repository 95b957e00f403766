/**
 * `relais cleanup`: removes every VIP and route of ours and the shield from this host, closes the gate, and
 * stops the services that a daemon of this boot had. Run when systemd has given up restarting the daemon,
 * and by an operator. Needs no daemon and no peer. What is done and what is left: docs/design/survive.md.
 *
 * @module
 */

import { rmSync } from "node:fs";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/types.ts";
import { systemClock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { STREAM_APPLICATION } from "../replication/logical/names.ts";
import { TUNNEL_USER } from "../replication/logical/peer_facts.ts";
import { isListened } from "../health/control_server.ts";
import { controlSocket } from "../runtime/paths.ts";
import { gateFlag, removeGate } from "../services/gate.ts";
import { Shield } from "../services/shield.ts";
import { VipManager } from "../vip/manager.ts";
import { type Keeper, keeperOf, readWord, stopServices } from "./cleanup_services.ts";
import { EXIT } from "./exit_codes.ts";
import { printResult } from "./report.ts";

const RELEASE_DEADLINE_MS = 10_000;
/** How often it is looked whether a daemon was started while the services stop. */
const LOOK_EVERY_MS = 200;

/** What {@linkcode cleanup} is told. */
export interface CleanupOptions {
  readonly config: string;
  readonly runDir: string;
  readonly unitDir: string;
  /** Also remove the gate. */
  readonly all: boolean;
  readonly json: boolean;
  /** Program to run; default: `systemctl` of PATH. */
  readonly systemctl?: string;
}

/** One thing to undo: says in sentences what it did. */
type Undo = (
  config: Config | null,
  options: CleanupOptions & { readonly keeper: Keeper },
) => Promise<readonly string[]>;

/**
 * Undoes; refuses while a daemon lives, which would put everything back. One that is started meanwhile
 * finds out by itself what is there: the rest is left to it.
 */
export async function cleanup(options: CleanupOptions): Promise<number> {
  const { runDir, json } = options;
  const socket = controlSocket({ runDir });
  if (await isListened(socket)) {
    const text =
      "Cannot clean up as relais is running: stop it first (systemctl stop relais; if it " +
      "hangs: systemctl kill -s KILL relais)";
    return printResult({ ok: false, text }, { json });
  }
  const warn = (text: string): void => console.error(`relais: ${text}`);
  const keeper = keeperOf(readWord(runDir, warn));
  const config = await loadOrWarn(options.config);
  const undone: string[] = [];
  const failed: string[] = [];
  // The VIPs first: they are what the other host waits for. The services last: they take their time, and
  // must not wait for a database that waits for the slave. What fails keeps nothing else from going.
  const undoes: readonly Undo[] = [removeVips, lowerShield, undoGate, letCommitsGo, removeServices];
  for (const undo of undoes) {
    try {
      if (await isListened(socket)) {
        throw new Error("Cannot go on as relais was started meanwhile: the rest is left to it");
      }
      undone.push(...await undo(config, { ...options, keeper }));
    } catch (error) {
      failed.push(messageOf(error));
    }
  }
  // Kept after a failure: who repeats must know whose the services are. And maintenance outlives the daemon.
  if (options.all || (failed.length === 0 && keeper !== "operator")) {
    rmSync(`${runDir}/serving.json`, { force: true });
  }
  if (json) console.log(JSON.stringify({ ok: failed.length === 0, undone, failed }));
  else {
    if (undone.length + failed.length === 0) undone.push("Nothing of relais was left here");
    for (const text of undone) console.log(text);
    for (const text of new Set(failed)) console.error(text);
  }
  return failed.length === 0 ? EXIT.ok : EXIT.failed;
}

async function removeVips(config: Config | null): Promise<readonly string[]> {
  const manager = new VipManager({
    networks: config?.networks ?? [],
    role: "master",
    clock: systemClock,
  });
  return await manager.cleanup();
}

async function lowerShield(): Promise<readonly string[]> {
  const shield = new Shield({ ports: [], clock: systemClock });
  return await shield.lower() === null ? [] : ["shield lowered"];
}

/**
 * Nobody is left to see that the slave is away: no commit of the database may wait for it. With
 * `all` the whole stream goes from this host.
 */
async function letCommitsGo(
  config: Config | null,
  { all }: CleanupOptions,
): Promise<readonly string[]> {
  const database = config?.replication.database ?? null;
  if (database === null || database.mode !== "stream") return [];
  const { StreamDatabase } = await import("../replication/logical/stream_database.ts");
  const postgres = new StreamDatabase(database);
  try {
    const deadlineMs = RELEASE_DEADLINE_MS;
    // The program goes: nobody would look after a slot that keeps log, nor need the role.
    if (all) return await postgres.ask("stream-teardown", { role: TUNNEL_USER }, { deadlineMs });
    const { synchronousNames } = await postgres.ask("stream-source", {}, { deadlineMs });
    if (synchronousNames !== STREAM_APPLICATION) return [];
    await postgres.ask("stream-synchronous", { on: false }, { deadlineMs });
    return ["commits of the database no longer wait for the slave"];
  } finally {
    await postgres.close();
  }
}

/**
 * Closes the gate, or removes it. With VIPs the other host takes over from here: the services of this one
 * must not come back. Without VIPs nobody takes over, and they are the service; in maintenance the gate is
 * as the operator left it.
 */
async function undoGate(
  config: Config | null,
  { runDir, unitDir, all, systemctl, keeper }: CleanupOptions & { readonly keeper: Keeper },
): Promise<readonly string[]> {
  const removed = all
    ? await removeGate({ unitDir, ...(systemctl === undefined ? {} : { systemctl }) })
    : [];
  if (all || (hasVips(config) && keeper !== "operator")) {
    rmSync(gateFlag(runDir), { force: true });
  }
  return removed;
}

/** Stops what a daemon of this boot started, unless this host is given back (`all`) or an operator has it. */
async function removeServices(
  config: Config | null,
  options: CleanupOptions & { readonly keeper: Keeper },
): Promise<readonly string[]> {
  if (options.all || !hasVips(config)) return [];
  if (options.keeper === "operator") return ["services and gate left alone, as in maintenance"];
  if (options.keeper === "nobody") return [];
  const socket = controlSocket(options);
  const stop = new AbortController();
  const watch = setInterval(() => {
    isListened(socket).then((lives) => {
      if (lives) stop.abort(new Error("Cannot stop the services as relais was started meanwhile"));
    }, () => {}); // It can't be asked: nobody answers there.
  }, LOOK_EVERY_MS);
  try {
    return await stopServices({ ...options, config, signal: stop.signal });
  } finally {
    clearInterval(watch);
  }
}

/** An unreadable configuration is taken for one with VIPs: nearly all have. */
function hasVips(config: Config | null): boolean {
  return config?.networks.some((network) => network.vips.length > 0) ?? true;
}

/** Without a usable configuration, what carries our mark is removed all the same. */
async function loadOrWarn(path: string): Promise<Config | null> {
  try {
    return await loadConfig(path);
  } catch (error) {
    console.error(
      `relais: ${messageOf(error)}\n` +
        "relais: going on without it: what carries our mark is removed, IPv6 VIPs end by themselves",
    );
    return null;
  }
}
