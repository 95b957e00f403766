/**
 * `[services]`: which services, how they are started and stopped, how their health is read.
 *
 * @module
 */

import { formatIp, parseIp } from "./address.ts";
import { BOUNDS, SERVICES_DEFAULTS } from "./defaults.ts";
import { type Read, readTable } from "./fields.ts";
import { asText, type IssueList } from "./issues.ts";
import type { ProductPreset } from "./presets.ts";
import { HEALTH_SHAPE, SERVICES_SHAPE } from "./schema.ts";
import { parseShieldPort } from "./shield_port.ts";
import type { ServiceHealthConfig, ServicesConfig, ShieldPort } from "./types.ts";

/** Reads `[services]`; what was wrong is in `issues` and the result is then not to be used. */
export function readServices(
  section: unknown,
  preset: ProductPreset | null,
  issues: IssueList,
): ServicesConfig {
  const typed = readTable(SERVICES_SHAPE, section ?? {}, "services", issues);
  const driver = typed.driver ?? "systemd";
  if (driver === "systemd") checkSystemd(typed, preset, issues);
  const command = driver === "command" ? readCommand(typed, issues) : null;
  const units = driver === "systemd" ? typed.units ?? preset?.units ?? [] : [];
  return {
    driver,
    units,
    unitsFromPreset: driver === "systemd" && typed.units === undefined && preset !== null,
    command,
    gate: driver === "systemd" && (typed.gate ?? true),
    shield: readShield(typed, units.length > 0 || driver === "command"),
    startDeadlineMs: 1000 * (typed.start_deadline_s ?? SERVICES_DEFAULTS.startDeadlineS),
    stopDeadlineMs: 1000 * (typed.stop_deadline_s ?? SERVICES_DEFAULTS.stopDeadlineS),
    health: readHealth(typed.health, preset, issues),
  };
}

/** Without services nothing starts or stops: no shield, unless the file asks for one. */
function readShield({ shield }: ServicesTyped, hasServices: boolean): readonly ShieldPort[] {
  const ports = shield ?? (hasServices ? SERVICES_DEFAULTS.shield : []);
  return ports.map(parseShieldPort).filter((port) => port !== null);
}

type ServicesTyped = Read<typeof SERVICES_SHAPE>;

function checkSystemd(
  typed: ServicesTyped,
  preset: ProductPreset | null,
  issues: IssueList,
): void {
  for (const key of ["start", "stop", "status"] as const) {
    if (typed[key] === undefined) continue;
    issues.add(`services.${key}`, 'must not be given unless driver is "command"', typed[key]);
  }
  if (typed.driver !== undefined && typed.units === undefined && preset === null) {
    const rule = 'must list units with driver "systemd" and no preset ([] if there are none)';
    issues.add("services.units", rule, typed.units);
  }
}

function readCommand(typed: ServicesTyped, issues: IssueList): ServicesConfig["command"] {
  if (typed.units !== undefined) {
    issues.add("services.units", 'must not be given with driver "command"', typed.units);
  }
  if (typed.gate === true) {
    const rule = 'must not be true with driver "command": the gate is a condition of systemd units';
    issues.add("services.gate", rule, typed.gate);
  }
  for (const key of ["start", "stop", "status"] as const) {
    if (typed[key] !== undefined) continue;
    const rule = 'must be given with driver "command": an argument list, the program first';
    issues.add(`services.${key}`, rule, undefined);
  }
  const { start, stop, status } = typed;
  if (start === undefined || stop === undefined || status === undefined) return null;
  return { start, stop, status };
}

function readHealth(
  section: unknown,
  preset: ProductPreset | null,
  issues: IssueList,
): ServiceHealthConfig {
  const typed = readTable(HEALTH_SHAPE, section ?? {}, "services.health", issues);
  const sip = typed.sip ?? preset?.sip ?? "off";
  const target = sip === "off" ? null : parseSipTarget(sip);
  if (sip !== "off" && target === null) {
    const rule = 'must be "udp:HOST:PORT" with an IP address, e.g. "udp:127.0.0.1:5060" or ' +
      '"udp:[::1]:5060", or "off"';
    issues.add("services.health.sip", rule, sip);
  }
  return {
    sip: target,
    rise: typed.rise ?? SERVICES_DEFAULTS.rise,
    fall: typed.fall ?? SERVICES_DEFAULTS.fall,
    intervalMs: typed.interval_ms ?? SERVICES_DEFAULTS.healthIntervalMs,
  };
}

/**
 * Takes `udp:HOST:PORT` or `udp:[HOST]:PORT` apart; null when it is not that. Addresses only: a name
 * would make the check of the telephony a check of the name service.
 */
function parseSipTarget(text: string): { readonly host: string; readonly port: number } | null {
  const match = /^udp:(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([1-9][0-9]{0,4})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) return null;
  const address = parseIp(host);
  const port = Number(match[3]);
  if (address === null || port > BOUNDS.port.max) return null;
  const bracketed = match[1] !== undefined;
  return bracketed === (address.family === 6) ? { host: formatIp(address), port } : null;
}

/** Starts last and stops first: it would start again what relais stops. */
const SUPERVISOR = "monit.service";

/**
 * Adds the units of `hooks.presets` behind the telephony: what is wrong with them must not keep it from
 * starting. A supervisor stays the last one.
 */
export function withExtraUnits(
  services: ServicesConfig,
  extra: readonly string[],
  issues: IssueList,
): ServicesConfig {
  if (extra.length > 0 && services.driver === "command") {
    const rule = `must not add ${extra.join(", ")} to services that a command starts`;
    issues.add("hooks.presets", rule, asText('driver = "command"'));
    return services;
  }
  const added = extra.filter((unit) => !services.units.includes(unit));
  const supervised = services.units.at(-1) === SUPERVISOR;
  const telephony = supervised ? services.units.slice(0, -1) : services.units;
  const units = [...telephony, ...added, ...(supervised ? [SUPERVISOR] : [])];
  return { ...services, units };
}

/** The standby's database must run to receive copies, so it must not be one of the services. */
export function checkDatabaseRuns(
  services: ServicesConfig,
  databaseCopied: boolean,
  issues: IssueList,
): void {
  const index = services.units.findIndex((unit) => /^postgresql(@.*)?\.service$/.test(unit));
  if (index < 0 || !databaseCopied || services.unitsFromPreset) return;
  const rule = "must not be PostgreSQL while [replication.database] is in use: the standby's " +
    "database runs, to receive copies";
  issues.add(`services.units[${index}]`, rule, asText(`"${services.units[index]}"`));
}
