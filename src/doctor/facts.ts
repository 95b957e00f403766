/**
 * Finds the facts that two hosts compare: for this host's own `relais doctor`, and for the peer's, which
 * asks through `relais receive`. Changes nothing.
 *
 * @module
 */

import type { StatsFs } from "node:fs";
import { realpath, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { LocalConfig } from "../config/types.ts";
import { proveKeys } from "../heartbeat/key_proof.ts";
import { readKeys } from "../heartbeat/key.ts";
import { isClockSynchronised } from "../os/clock_discipline.ts";
import { messageOf } from "../os/errors.ts";
import { readKernelFile } from "../os/kernel_file.ts";
import { run, ToolMissingError } from "../os/process.ts";
import { PostgresDatabase } from "../replication/database.ts";
import type { DiskRoom, Fact, HostFacts } from "../replication/host_facts.ts";
import { missingTools } from "../runtime/preflight.ts";
import type { Paths } from "../runtime/paths.ts";
import { type InterfaceInfo, readInterfaces } from "../vip/iproute.ts";
import { readText } from "./files.ts";
import { parseAsteriskConf, parseAsteriskVersion } from "./asterisk_conf.ts";

/** Longest time of one fact, in milliseconds. */
const FACT_MS = 10_000;
const ASTERISK_FOLDER = "/etc/asterisk";
/** Files that one asterisk.conf may include. */
const MAX_INCLUDES = 50;

/** What {@linkcode collectFacts} needs. */
export interface FactsOptions {
  readonly config: LocalConfig;
  readonly paths: Pick<Paths, "stateDir" | "key">;
  readonly version: string;
  /** What the key proofs are made over. */
  readonly nonce: string;
  /** What the daemon of this host says; null: it does not answer. */
  readonly daemon: () => Promise<HostFacts["daemon"]>;
  /** Tries the way of ssh to the peer and says how it went; null: not to be tried. */
  readonly back: (() => Promise<string>) | null;
  readonly signal: AbortSignal;
}

/** Every fact; one that cannot be found says why and does not hinder the others. */
export async function collectFacts(options: FactsOptions): Promise<HostFacts> {
  const { config, paths, version, nonce, signal, back } = options;
  const { database } = config.replication;
  const [timeZone, systemName, asterisk, rights, disks, links, daemon, way] = await Promise.all([
    attempt(readTimeZone),
    attempt(readSystemName),
    attempt(() => readAsteriskVersion(signal)),
    attempt(async () => {
      if (database === null) return null;
      return await new PostgresDatabase(database).rights(signal);
    }),
    attempt(() => readDisks(config, paths.stateDir)),
    attempt(() => readLinks(config)),
    options.daemon().catch(() => null),
    back === null ? null : attempt(back, 2 * FACT_MS),
  ]);
  return {
    version,
    role: config.role,
    fingerprint: config.fingerprint,
    timeZone,
    clockSynchronised: await attempt(isClockSynchronised),
    systemName,
    asterisk,
    database: rights,
    disks,
    links,
    missingTools: await attempt(() => [...missingTools(config, Deno.env.get("PATH"))]),
    keyProofs: await attempt(() => [...proveKeys(readKeys(paths.key), nonce)]),
    daemon,
    back: way,
  };
}

async function attempt<T>(find: () => T | Promise<T>, deadlineMs = FACT_MS): Promise<Fact<T>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const text = `it took longer than ${deadlineMs / 1000} s`;
    timer = setTimeout(() => reject(new Error(text)), deadlineMs);
  });
  try {
    return { value: await Promise.race([(async (): Promise<T> => await find())(), late]) };
  } catch (error) {
    return { error: messageOf(error).slice(0, 2000) };
  } finally {
    clearTimeout(timer);
  }
}

async function readTimeZone(): Promise<string> {
  // Without the link libc takes UTC.
  const path = await realpath("/etc/localtime").catch(() => "/usr/share/zoneinfo/UTC");
  const zone = path.replace(/^.*\/zoneinfo\//, "");
  return /^(Etc\/)?(UTC|UCT|Zulu|Universal)$/.test(zone) ? "UTC" : zone.slice(0, 200);
}

async function readSystemName(): Promise<string | null> {
  const main = await readText(`${ASTERISK_FOLDER}/asterisk.conf`);
  if (main === null) return null;
  const parts = [parseAsteriskConf(main)];
  for (const pattern of parts[0]!.includes.slice(0, MAX_INCLUDES)) {
    for (const path of includedFiles(pattern)) {
      const text = await readText(path);
      if (text !== null) parts.push(parseAsteriskConf(text));
    }
  }
  const given = parts.findLast(({ systemName }) => systemName !== null)?.systemName ?? null;
  // Without a name of its own Asterisk then takes the host's.
  const auto = parts.some((part) => part.auto)
    ? readKernelFile("/proc/sys/kernel/hostname").trim()
    : null;
  return (given ?? auto)?.slice(0, 200) ?? null;
}

/** A `*` may stand in the last part only, as in the files that products ship. */
function includedFiles(pattern: string): readonly string[] {
  const path = pattern.startsWith("/") ? pattern : `${ASTERISK_FOLDER}/${pattern}`;
  if (!path.includes("*")) return [path];
  const last = path.slice(path.lastIndexOf("/") + 1);
  const parts = last.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const fits = new RegExp(`^${parts.join("[^/]*")}$`);
  try {
    return [...Deno.readDirSync(dirname(path))].map(({ name }) => name).filter((name) =>
      fits.test(name)
    ).sort().slice(0, MAX_INCLUDES).map((name) => `${dirname(path)}/${name}`);
  } catch {
    return []; // Asterisk goes on without it, too.
  }
}

async function readAsteriskVersion(signal: AbortSignal): Promise<string | null> {
  try {
    const { stdout } = await run(["asterisk", "-V"], { deadlineMs: FACT_MS, signal });
    return parseAsteriskVersion(stdout)?.slice(0, 200) ?? null;
  } catch (error) {
    if (error instanceof ToolMissingError) return null;
    throw error;
  }
}

async function readDisks(config: LocalConfig, stateDir: string): Promise<DiskRoom[]> {
  const { files } = config.replication;
  const paths = files === null ? [] : [...files.paths, ...files.returnPaths];
  const wanted = [
    { what: "state" as const, path: stateDir },
    ...paths.map((path) => ({ what: "files" as const, path })),
  ];
  return await Promise.all(
    wanted.slice(0, 100).map(async ({ what, path }) => {
      const { bavail, blocks, bsize } = await statfsAbove(path);
      return { what, path, freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    }),
  );
}

/** The file system that a path is or will be on. */
async function statfsAbove(path: string): Promise<StatsFs> {
  for (let at = path;; at = dirname(at)) {
    try {
      return await statfs(at);
    } catch (error) {
      if (at === "/" || (error as { code?: unknown }).code !== "ENOENT") throw error;
    }
  }
}

async function readLinks(
  config: LocalConfig,
): Promise<{ network: string; interface: string; mtu: number }[]> {
  const interfaces = await readInterfaces();
  return config.networks.flatMap((network) => {
    const found = interfaceOf(network, config.role, interfaces);
    if (found === undefined) return [];
    const mtu = Number(readKernelFile(`/sys/class/net/${found.name}/mtu`).trim());
    return [{ network: network.name, interface: found.name, mtu }];
  });
}

/** The interface of a network: the named one, or the one that carries our own address. */
export function interfaceOf(
  network: LocalConfig["networks"][number],
  role: LocalConfig["role"],
  interfaces: readonly InterfaceInfo[],
): InterfaceInfo | undefined {
  return interfaces.find(({ name, addresses }) =>
    network.interface === null
      ? addresses.some(({ address }) => address === network[role])
      : name === network.interface
  );
}
