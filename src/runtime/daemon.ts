/**
 * The long-running process: reads configuration and key, finds out who it is, builds the node and its two
 * HTTP sides, ends in order. Knows no signals and never exits: `main.ts` does both.
 *
 * @module
 */

import { buildInfo } from "../build_info.ts";
import { loadConfig, localConfig } from "../config/load.ts";
import type { LocalConfig } from "../config/types.ts";
import { readKeys } from "../heartbeat/key.ts";
import { PeerMessenger } from "../heartbeat/notice.ts";
import { systemClock } from "../os/clock.ts";
import { configureLog, flushLog, getLog, type LogLevelName } from "../os/log.ts";
import { Notifier } from "../os/notify.ts";
import { Poller } from "../os/poller.ts";
import { createServiceDriver } from "../services/driver.ts";
import { VipManager } from "../vip/manager.ts";
import { LinkMonitor } from "../vip/monitor.ts";
import { hasServed } from "./adoption.ts";
import { createReplicator, tidyDatabase } from "./copying.ts";
import { Memory, readBoot } from "./memory.ts";
import { Node } from "./node.ts";
import type { Paths } from "./paths.ts";
import { findRole, missingTools } from "./preflight.ts";
import { createServers } from "./servers.ts";
import type { Identity } from "./status.ts";
import { systemdTurns } from "./systemd_turns.ts";

const log = getLog("daemon");
const clock = systemClock;

/** A running daemon. */
export interface Daemon {
  /** Orderly leave: hands over if the peer can take the service. */
  leave(): void;
  /** Ends at once; the next daemon of this boot adopts VIPs and services. */
  leaveForRestart(): void;
  /** Resolves when everything has ended. */
  readonly done: Promise<void>;
}

/** Options of {@linkcode startDaemon}. */
export interface DaemonOptions {
  readonly paths: Paths;
  readonly logLevel: LogLevelName;
  /** Aborts the wait for an address of our own. */
  readonly signal: AbortSignal;
}

/**
 * Starts the daemon.
 *
 * @throws {ConfigError} and other errors of {@linkcode loadConfig}
 * @throws {IdentityError} when this host has the addresses of both
 * @throws {KeyError} when there is a key file that cannot be used
 * @throws {DOMException} `AbortError` when `signal` aborts before the node is built
 */
export async function startDaemon({ paths, logLevel, signal }: DaemonOptions): Promise<Daemon> {
  configureLog({ level: logLevel });
  const config = await loadConfig(paths.config);
  for (const folder of [paths.stateDir, paths.runDir]) {
    Deno.mkdirSync(folder, { recursive: true, mode: 0o755 });
  }
  const notifier = new Notifier({ trouble: (text) => log.warn(text) });
  const memory = new Memory({
    ...paths,
    boot: readBoot(clock),
    onTrouble: (text) => log.warn(text),
  });
  const role = await findRole(config, {
    known: memory.load()?.role ?? null,
    clock,
    signal,
    onWait: (why) => {
      log.warn(why, { event: "wait" });
      // Up, and waiting for the network: a boot must not wait for it, nor call it a failure.
      notifier.notify({ ready: true, status: why });
    },
    onLook: () => notifier.notify({ watchdog: true }),
  });
  const local = localConfig(config, role);
  return await build(local, { paths, logLevel, memory, notifier });
}

async function build(config: LocalConfig, { paths, logLevel, memory, notifier }: {
  readonly paths: Paths;
  readonly logLevel: LogLevelName;
  readonly memory: Memory;
  readonly notifier: Notifier;
}): Promise<Daemon> {
  const keys = readKeysIfThere(paths.key);
  const identity = makeIdentity(memory.boot.id);
  const poller = new Poller({ onCallbackError: (error) => log.error(`${error}`) });
  poller.start();
  const port = config.heartbeat.httpPort;
  const { instanceId } = identity;
  const messenger = keys === null ? null : new PeerMessenger({ clock, port, keys, instanceId });
  const driver = createServiceDriver(config.services, {
    adopted: hasServed(memory.previous()),
  });
  const holder: { node: Node | null } = { node: null };
  const replicator = createReplicator({ config, paths, clock, node: () => holder.node });
  const path = Deno.env.get("PATH");
  const missing = missingTools(config, path);
  const node = new Node({
    config,
    clock,
    poller,
    identity,
    stateDir: paths.stateDir,
    memory,
    vips: new VipManager({
      networks: config.networks,
      role: config.role,
      clock,
      log: (level, text) => level === "info" ? log.info(text) : log.warn(text),
    }),
    driver,
    replicator,
    messenger,
    localFaults: missing.filter((text) =>
      text.startsWith("VIPs") || text.startsWith("the services")
    ),
    onTurn: systemdTurns({ notifier, clock }),
  });
  holder.node = node;
  configureLog({
    level: logLevel,
    context: () => ({
      node: config.cluster.name,
      role: config.role,
      state: node.loop.state.name,
      epoch: node.loop.state.epoch,
    }),
  });
  for (const text of missing) node.alerts.raise(text);
  tidyDatabase(config, (text) => node.alerts.raise(text));
  const monitor = new LinkMonitor({
    clock,
    onChange: () => node.keeper.refresh(),
    onTrouble: (text) => node.alerts.raise(text),
  });
  monitor.start();
  const servers = createServers({ node, config, paths, replicator, keys, instanceId });
  // The control socket first: where a daemon answers already, nothing may be touched.
  await servers.control.start();
  await node.start();
  await servers.health.start();
  notifier.notify({ ready: true });
  const done = node.done.then(async () => {
    notifier.notify({ stopping: true });
    monitor.stop();
    await Promise.all([servers.control.stop(), servers.health.stop()]);
    messenger?.close();
    await poller.stop();
    log.info("ended", { event: "end" });
    await flushLog();
  });
  return {
    leave: () => node.leave(),
    leaveForRestart: () => node.leaveForRestart(),
    done,
  };
}

function readKeysIfThere(path: string): readonly Uint8Array[] | null {
  try {
    Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  return readKeys(path);
}

function makeIdentity(bootId: string): Identity {
  const build = buildInfo();
  return {
    instanceId: crypto.randomUUID(),
    bootId,
    version: build.label,
    denort: build.denort === "source" ? "none" : build.denort,
    pid: Deno.pid,
    startedAt: clock.nowMs(),
  };
}
