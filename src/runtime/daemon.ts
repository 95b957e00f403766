/**
 * The long-running process: reads configuration and key, finds out who it is, builds the node and its two
 * HTTP sides, ends in order. Knows no signals and never exits: `main.ts` does both.
 *
 * @module
 */

import { buildInfo } from "../build_info.ts";
import { isSame } from "../config/changes.ts";
import { loadConfig, localConfig } from "../config/load.ts";
import type { LocalConfig } from "../config/types.ts";
import type { ReloadResult } from "../health/control_app.ts";
import { readKeys } from "../heartbeat/key.ts";
import { Addressee } from "../heartbeat/addressee.ts";
import { Keyring } from "../heartbeat/keyring.ts";
import { PeerMessenger } from "../heartbeat/notice.ts";
import { systemClock } from "../os/clock.ts";
import { configureLog, flushLog, getLog, type LogLevelName } from "../os/log.ts";
import { Notifier } from "../os/notify.ts";
import { Poller } from "../os/poller.ts";
import { createServiceDriver } from "../services/driver.ts";
import { Fencer } from "../fencing/fencer.ts";
import { Gate } from "../services/gate.ts";
import { Shield } from "../services/shield.ts";
import { VipManager } from "../vip/manager.ts";
import { LinkMonitor } from "../vip/monitor.ts";
import { hasServed } from "./adoption.ts";
import { BeatClock } from "./beat.ts";
import type { ConfigNews } from "./config_news.ts";
import { createReplicator, tidyDatabase } from "./copying.ts";
import { Memory, readBoot } from "./memory.ts";
import { Node } from "./node.ts";
import type { Paths } from "./paths.ts";
import { findRole, missingTools } from "./preflight.ts";
import { Reloader } from "./reload.ts";
import type { Running } from "./running.ts";
import { createServers, createVerifier, ownAddressesIn } from "./servers.ts";
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
  /** Reads the configuration again; log, history and status tell the result. Never rejects. */
  reload(): Promise<void>;
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

/** What lives as long as the process, whatever the configuration is. */
interface Standing {
  readonly paths: Paths;
  readonly memory: Memory;
  readonly notifier: Notifier;
  readonly identity: Identity;
  readonly poller: Poller;
  readonly configNews: ConfigNews;
  readonly keyring: Keyring;
  readonly addressee: Addressee;
  readonly current: () => Running;
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
  const configNews: ConfigNews = { loadedAt: clock.wallMs(), refusal: null };
  const current = (): Running => running;
  const keyring = new Keyring(keys ?? []);
  const addressee = new Addressee({ instanceId: identity.instanceId, clock });
  const talk = { keyring, addressee, identity };
  const standing = { paths, memory, notifier, poller, configNews, current, ...talk };
  let running = createRunning(config, standing, { keys, former: null });
  // Only the node that decides can end the daemon: one that another one follows is never done.
  const over = Promise.withResolvers<void>();
  const watch = ({ node }: Running): void => void node.done.then(over.resolve);
  watch(running);
  configureLog({
    level: logLevel,
    context: () => ({
      node: running.config.cluster.name,
      role: running.config.role,
      state: running.node.loop.state.name,
      epoch: running.node.loop.state.epoch,
    }),
  });
  for (const text of running.missing) running.node.alerts.raise(text);
  tidyDatabase(config, (text) => running.node.alerts.raise(text));
  const monitor = new LinkMonitor({
    clock,
    onChange: () => running.node.keeper.refresh(),
    onTrouble: (text) => running.node.alerts.raise(text),
  });
  monitor.start();
  const reloader = new Reloader({
    clock,
    notifier,
    configNews,
    keyring,
    configPath: paths.config,
    loadKeys: () => readKeysIfThere(paths.key),
    current,
    create: (next, nextKeys) => createRunning(next, standing, { keys: nextKeys, former: running }),
    onNext: (next) => {
      running = next;
      watch(next);
      for (const text of next.missing) next.node.alerts.raise(text);
      servers.health.relocate(ownAddressesIn(next.config));
    },
  });
  const reload = (): Promise<ReloadResult> => reloader.reload();
  const servers = createServers({ current, reload, paths, keyring });
  // The control socket first: where a daemon answers already, nothing may be touched.
  await servers.control.start();
  await running.node.start();
  await servers.health.start();
  notifier.notify({ ready: true });
  const done = over.promise.then(async () => {
    notifier.notify({ stopping: true });
    monitor.stop();
    reloader.close();
    await Promise.all([servers.control.stop(), servers.health.stop()]);
    running.messenger?.close();
    await poller.stop();
    log.info("ended", { event: "end" });
    await flushLog();
  });
  return {
    leave: () => running.node.leave(),
    leaveForRestart: () => running.node.leaveForRestart(),
    reload: async () => {
      await reload();
    },
    done,
  };
}

/** Makes a node with all that depends on its configuration. With `former`, nothing of it is begun yet. */
function createRunning(
  config: LocalConfig,
  standing: Standing,
  { keys, former }: {
    readonly keys: readonly Uint8Array[] | null;
    readonly former: Running | null;
  },
): Running {
  const { paths, memory, notifier, identity, poller, configNews, current } = standing;
  const { keyring, addressee } = standing;
  const port = config.heartbeat.httpPort;
  const { instanceId } = identity;
  const messenger = keys === null
    ? null
    : former?.messenger ?? new PeerMessenger({ clock, port, keyring, instanceId });
  const verifier = keys === null
    ? null
    : former?.verifier ?? createVerifier({ keyring, instanceId, addressee, current });
  const adopted = former === null ? hasServed(memory.previous()) : former.node.serves;
  const driver = former !== null && isSame(former.config.services, config.services)
    ? former.driver
    : createServiceDriver(config.services, { adopted });
  const fencer = createFencer(config, former);
  const holder: { node: Node | null } = { node: null };
  const beat = new BeatClock(clock);
  const replicator = createReplicator({ config, paths, clock: beat, node: () => holder.node });
  const path = Deno.env.get("PATH");
  const missing = missingTools(config, path);
  const node = new Node({
    config,
    clock,
    beat,
    poller,
    identity,
    stateDir: paths.stateDir,
    paths,
    memory,
    vips: new VipManager({
      networks: config.networks,
      role: config.role,
      clock,
      log: (level, text) => level === "info" ? log.info(text) : log.warn(text),
      formerVips: former?.config.networks.flatMap(({ vips }) => vips) ?? [],
    }),
    driver,
    gate: new Gate({ ...paths, units: config.services.gate ? config.services.units : [] }),
    shield: new Shield({ ports: config.services.shield, clock }),
    replicator,
    fencer,
    messenger,
    keyring,
    addressee,
    localFaults: missing.filter((text) =>
      text.startsWith("VIPs") || text.startsWith("the services")
    ),
    path,
    onTurn: systemdTurns({ notifier, clock }),
    configNews,
    former: former?.node ?? null,
  });
  holder.node = node;
  return { node, config, keys, replicator, messenger, verifier, driver, fencer, missing };
}

/** What it knows of the device outlives a reload that does not concern it. */
function createFencer(config: LocalConfig, former: Running | null): Fencer | null {
  if (config.fencing === undefined) return null;
  const known = former?.fencer ?? null;
  if (known !== null && isSame(former?.config.fencing, config.fencing)) return known;
  return new Fencer({ config: config.fencing, role: config.role, clock });
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
