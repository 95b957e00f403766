/**
 * `relais cleanup`: removes every VIP and route of ours and the shield from this host, and closes the gate.
 * Run when systemd has given up restarting the daemon, and by an operator. Needs no daemon and no peer.
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
import { controlSocket } from "../runtime/paths.ts";
import { gateFlag, removeGate } from "../services/gate.ts";
import { Shield } from "../services/shield.ts";
import { VipManager } from "../vip/manager.ts";
import { ControlClient } from "./control_client.ts";
import { EXIT } from "./exit_codes.ts";
import { printResult } from "./report.ts";

const RELEASE_DEADLINE_MS = 10_000;

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

/** Undoes; refuses while a daemon runs, which would put everything back. */
export async function cleanup(options: CleanupOptions): Promise<number> {
  const { runDir, json } = options;
  if (await daemonAnswers(runDir)) {
    const text = "Cannot clean up as relais is running: stop it first (systemctl stop relais)";
    return printResult({ ok: false, text }, { json });
  }
  const config = await loadOrWarn(options.config);
  const undone: string[] = [];
  const failed: string[] = [];
  // The VIPs first: they are what the other host waits for. What fails keeps nothing else from going.
  for (const undo of [removeVips, lowerShield, undoGate, letCommitsGo]) {
    try {
      undone.push(...await undo(config, options));
    } catch (error) {
      failed.push(messageOf(error));
    }
  }
  rmSync(`${runDir}/serving.json`, { force: true });
  if (json) console.log(JSON.stringify({ ok: failed.length === 0, undone, failed }));
  else {
    if (undone.length + failed.length === 0) undone.push("Nothing of relais was left here");
    for (const text of undone) console.log(text);
    for (const text of failed) console.error(text);
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
 * Closes the gate, or removes it. With VIPs the other host takes over from here: the services that still run
 * here must not come back once they end. Without VIPs nobody takes over, and they are the service.
 */
async function undoGate(
  config: Config | null,
  { runDir, unitDir, all, systemctl }: CleanupOptions,
): Promise<readonly string[]> {
  const removed = all
    ? await removeGate({ unitDir, ...(systemctl === undefined ? {} : { systemctl }) })
    : [];
  const hasVips = config?.networks.some((network) => network.vips.length > 0) ?? true;
  if (all || hasVips) rmSync(gateFlag(runDir), { force: true });
  return removed;
}

async function daemonAnswers(runDir: string): Promise<boolean> {
  try {
    await new ControlClient(controlSocket({ runDir })).status();
    return true;
  } catch {
    return false;
  }
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
