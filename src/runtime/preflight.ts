/**
 * What is looked at before the node starts: which host this is, which tools are missing.
 *
 * @module
 */

import { identifyRole, IdentityError } from "../config/load.ts";
import type { Config } from "../config/types.ts";
import type { Role } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { agentFile } from "../fencing/agent.ts";
import { messageOf } from "../os/errors.ts";
import { ToolMissingError } from "../os/process.ts";
import { findProgram } from "../os/program.ts";
import { DEBIAN_BIN } from "../replication/database_tools.ts";
import { readInterfaces } from "../vip/iproute.ts";
import { hookFaults } from "./hooks.ts";

const RETRY_MS = 1000;

/** Every address that this host has now, without prefix; up or not. */
export async function ownAddresses(): Promise<string[]> {
  try {
    const interfaces = await readInterfaces();
    return interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => address));
  } catch (error) {
    if (!(error instanceof ToolMissingError)) throw error;
    // Without `ip` there are no VIPs, but watching and the services go on.
    return Deno.networkInterfaces().map(({ address }) => address);
  }
}

/**
 * The role of this host. While it has no configured address (an interface that is not up yet at boot) the
 * role of the last run is believed; without one this waits and reports.
 *
 * @param options.known role of the last run
 * @throws {IdentityError} when the addresses of both hosts are here: waiting would not help
 * @throws {DOMException} `AbortError` when `signal` aborts
 */
export async function findRole(config: Config, options: {
  readonly known: Role | null;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onWait: (why: string) => void;
  /** Called at each look, about once a second: systemd's watchdog wants to hear of a daemon that waits. */
  readonly onLook?: () => void;
}): Promise<Role> {
  for (let first = true;; first = false) {
    options.onLook?.();
    const own = await ownAddresses();
    const isNeither = !config.networks.some((network) =>
      own.includes(network.master) || own.includes(network.slave)
    );
    if (!isNeither) return identifyRole(config, own);
    if (options.known !== null) {
      options.onWait(`none of the configured addresses is here yet: going on as ${options.known}`);
      return options.known;
    }
    if (first) options.onWait(whyNeither(config, own));
    await options.clock.sleep(RETRY_MS, options.signal);
  }
}

function whyNeither(config: Config, own: readonly string[]): string {
  try {
    return `this host is the ${identifyRole(config, own)}`;
  } catch (error) {
    if (error instanceof IdentityError) return `${error.message}: waiting for one of them`;
    throw error;
  }
}

/** The tools that this configuration needs, and what does not work without each. */
export function neededTools(
  config: Config,
): readonly { readonly tool: string; readonly for: string }[] {
  const { astdb, database, files } = config.replication;
  const hasVips = config.networks.some((network) => network.vips.length > 0);
  const needed = [
    ...(hasVips ? [{ tool: "ip", for: "VIPs and routes" }] : []),
    ...(config.services.driver === "systemd" && config.services.units.length > 0
      ? [{ tool: "systemctl", for: "the services" }]
      : []),
    ...(config.services.shield.length > 0 ? [{ tool: "nft", for: "the shield" }] : []),
    ...(hasVips ? [{ tool: "conntrack", for: "stale UDP flows of the VIPs" }] : []),
    ...(astdb !== null || database !== null || files !== null
      ? [{ tool: "ssh", for: "the data sets" }]
      : []),
    ...(database !== null
      ? ["pg_dump", "pg_restore", "zstd"].map((tool) => ({ tool, for: "the data set database" }))
      : []),
    ...(files !== null ? [{ tool: "rsync", for: "the data set files" }] : []),
  ];
  return needed;
}

/**
 * Sentences for the tools that are not installed, each with the package that brings it, and for the hooks
 * that could not be run.
 */
export function missingTools(config: Config, path: string | undefined): readonly string[] {
  const tools = neededTools(config).filter(({ tool }) => !isOnPath(tool, path));
  return [
    ...tools.map((entry) => `${entry.for}: ${new ToolMissingError(entry.tool).message}`),
    ...hookFaults(config.hooks, path),
    ...fencingFaults(config),
  ];
}

/** Each host needs the agents of both: the same file is on both, and roles are told apart later. */
function fencingFaults({ fencing }: Config): string[] {
  if (fencing === undefined) return [];
  return [...new Set([fencing.master.agent, fencing.slave.agent])].flatMap((agent) => {
    try {
      agentFile(agent);
      return [];
    } catch (error) {
      return [`fencing: ${messageOf(error)}`];
    }
  });
}

function isOnPath(tool: string, path: string | undefined): boolean {
  return findProgram(tool, path) !== null ||
    (tool.startsWith("pg_") && findProgram(tool, postgresFolders().join(":")) !== null);
}

/** Where Debian has the programs of each version of PostgreSQL; those on the path only choose one. */
function postgresFolders(): string[] {
  try {
    return [...Deno.readDirSync(DEBIAN_BIN)].map(({ name }) => `${DEBIAN_BIN}/${name}/bin`);
  } catch {
    return []; // no server and no client of any version
  }
}
