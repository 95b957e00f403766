/**
 * `relais check-config`: says whether a configuration file is good, and whether this host is in it.
 *
 * @module
 */

import { identifyRole, loadConfig } from "../config/load.ts";
import { ConfigError, formatIssue, IdentityError } from "../config/load.ts";
import { ALERT_HOOK_KEY, HOOK_KEYS } from "../config/hooks_section.ts";
import type { Config, HookConfig, HookMoment, HooksConfig } from "../config/types.ts";
import type { Role } from "../core/types.ts";
import { arbiterTakeoverMs, consentMs, promiseMs } from "../config/arbiter_timing.ts";
import { messageOf } from "../os/errors.ts";

/** Exit statuses of the verb, from sysexits.h (docs/exit-codes.md). */
export const CHECK_CONFIG_EXIT = {
  ok: 0,
  /** EX_DATAERR: the content is refused. */
  badContent: 65,
  /** EX_NOINPUT: the file cannot be read. */
  cannotRead: 66,
  /** EX_CONFIG: the file is good, but this host is neither or both of its hosts. */
  notThisHost: 78,
} as const;

/** What to check, and against whom. */
export interface CheckConfigOptions {
  readonly path: string;
  /** Given: taken as this host's role, nothing is compared. */
  readonly role?: Role | null;
  /** This host's addresses, to find its role; absent: the file alone is checked. */
  readonly ownAddresses?: readonly string[];
  readonly json: boolean;
}

/** What the program should print and exit with. */
export interface VerbResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Checks the file; never throws for anything that the file or the host can cause. */
export async function checkConfig(options: CheckConfigOptions): Promise<VerbResult> {
  const { path, ownAddresses } = options;
  let config: Config;
  try {
    config = await loadConfig(path);
  } catch (error) {
    return error instanceof ConfigError ? refused(error, options) : unreadable(error, options);
  }
  let role = options.role ?? null;
  if (role === null && ownAddresses !== undefined) {
    try {
      role = identifyRole(config, ownAddresses);
    } catch (error) {
      if (!(error instanceof IdentityError)) throw error;
      return failure(CHECK_CONFIG_EXIT.notThisHost, error.message, options);
    }
  }
  const json = { ok: true, path, role, fingerprint: config.fingerprint, config };
  const stdout = options.json ? toJson(json) : `${describe(config, path, role).join("\n")}\n`;
  return { exitCode: CHECK_CONFIG_EXIT.ok, stdout, stderr: "" };
}

function refused(error: ConfigError, options: CheckConfigOptions): VerbResult {
  const { issues } = error;
  const exitCode = CHECK_CONFIG_EXIT.badContent;
  if (options.json) {
    const stdout = toJson({ ok: false, path: options.path, error: "refused", issues });
    return { exitCode, stdout, stderr: "" };
  }
  const count = issues.length === 1 ? "1 problem" : `${issues.length} problems`;
  const stderr = [`${options.path}: ${count}`, ...issues.map((issue) => `  ${formatIssue(issue)}`)];
  return { exitCode, stdout: "", stderr: `${stderr.join("\n")}\n` };
}

function unreadable(error: unknown, options: CheckConfigOptions): VerbResult {
  const why = error instanceof Deno.errors.NotFound
    ? "there is no such file"
    : error instanceof Deno.errors.PermissionDenied
    ? "permission is denied (try as root)"
    : messageOf(error);
  const text = `Cannot read ${options.path} as ${why}`;
  return failure(CHECK_CONFIG_EXIT.cannotRead, text, options);
}

function failure(exitCode: number, text: string, options: CheckConfigOptions): VerbResult {
  if (!options.json) return { exitCode, stdout: "", stderr: `${text}\n` };
  const stdout = toJson({ ok: false, path: options.path, error: text, issues: [] });
  return { exitCode, stdout, stderr: "" };
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** The good file in words: what it will do, with the arithmetic of `defaults.ts`. */
function describe(config: Config, path: string, role: Role | null): string[] {
  const { cluster, heartbeat, services, failback, replication } = config;
  const { intervalMs, isolatedAfterMs, deadAfterMs } = heartbeat;
  const sets = [
    replication.astdb === null ? null : `astdb each ${seconds(replication.astdb.everyMs)}`,
    replication.database === null ? null : `database each ${seconds(replication.database.everyMs)}`,
    replication.files === null ? null : `files each ${seconds(replication.files.everyMs)}`,
  ].filter((text) => text !== null);
  const units = services.command === null ? services.units.join(", ") : "by command";
  return [
    `${path}: good`,
    `cluster     ${cluster.name} (preset ${cluster.preset})`,
    `this host   ${role ?? "not asked"}`,
    ...config.networks.map((network) => {
      const vips = network.vips.length === 0 ? "no VIP" : `VIP ${network.vips.join(", ")}`;
      const hosts = `master ${network.master}, slave ${network.slave} /${network.prefix}`;
      return `network     ${network.name}: ${hosts}, ${vips}`;
    }),
    `detection   ${heartbeat.preset}: a silent death is acted on within ` +
    `${deadAfterMs} + ${intervalMs} ms; a cut-off host drops its VIPs within ` +
    `${isolatedAfterMs} + ${intervalMs} ms`,
    ...arbiterLines(config),
    `services    ${units === "" ? "none" : units}`,
    `failback    ${failback.mode}, after ${seconds(failback.stableMs)} of a ready master`,
    ...hookLines(config.hooks),
    `data sets   ${sets.length === 0 ? "none" : sets.join(", ")}`,
    `fingerprint ${config.fingerprint} (equal on both hosts)`,
  ];
}

/** What an arbiter adds to the detection; the formulas are in docs/arbiter.md. */
function arbiterLines({ arbiter, heartbeat }: Config): string[] {
  if (arbiter === null) return [];
  const { deadAfterMs, intervalMs } = heartbeat;
  const takeover = Math.max(deadAfterMs + intervalMs, arbiterTakeoverMs(arbiter.ttlMs));
  const policy = arbiter.policy === "hold"
    ? `the one that serves goes on as long as its peer consents (each consent counts for ` +
      `${seconds(consentMs(deadAfterMs))}, the peer then waits for ${
        seconds(promiseMs(deadAfterMs))
      })`
    : "the one that serves lets go when its lease ends";
  return [
    `arbiter     ${arbiter.endpoints.join(", ")}, key ${arbiter.rightKey}, lease of ` +
    `${
      seconds(arbiter.ttlMs)
    }: a takeover after a sudden death waits for the rest of it, at most ` +
    `${seconds(takeover)} in all`,
    `            without etcd: ${arbiter.policy}: ${policy}`,
  ];
}

/** One line for each moment that has hooks; they are not run to find out. */
function hookLines(hooks: HooksConfig): string[] {
  const line = (key: string, list: readonly HookConfig[]): string[] => {
    const each = list.map(({ command, deadlineMs }) =>
      `${command.join(" ")} (at most ${seconds(deadlineMs)})`
    );
    return each.length === 0 ? [] : [`hooks       ${key}: ${each.join(", then ")}`];
  };
  const moments = Object.keys(HOOK_KEYS) as HookMoment[];
  return [
    ...moments.flatMap((moment) => line(HOOK_KEYS[moment], hooks[moment])),
    ...line(ALERT_HOOK_KEY, hooks.onAlert),
  ];
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
