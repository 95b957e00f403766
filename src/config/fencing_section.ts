/**
 * `[fencing]`: with which agents the hosts switch each other off.
 *
 * @module
 */

import { BOUNDS, FENCING_DEFAULTS, LIMITS } from "./defaults.ts";
import { isTable, parseDuration, readTable } from "./fields.ts";
import { asText, type IssueList, joinKey } from "./issues.ts";
import { FENCING_DEVICE_SHAPE, FENCING_SHAPE } from "./schema.ts";
import type { FencingConfig, FencingDeviceConfig } from "./types.ts";

/** What relais itself says to an agent (FenceAgentAPI: `option` is the old name of `action`). */
export const RESERVED_PARAMETERS: readonly string[] = ["action", "option", "nodename"];

/** Names of parameters, as agents have them in their metadata. */
export const PARAMETER_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

/** Parameters whose values are shown to nobody. */
export const SECRET_NAME = /pass|secret|token|key/i;

/** Longest value of a parameter. */
const PARAMETER_MAX_CHARS = 1024;

/** Reads `[fencing]`; null: there is none. What was wrong is in `issues` and the result is then not to be used. */
export function readFencing(section: unknown, issues: IssueList): FencingConfig | null {
  if (section === undefined) return null;
  const typed = readTable(FENCING_SHAPE, section, "fencing", issues);
  const deadlineMs = typed.deadline ?? parseDuration(FENCING_DEFAULTS.deadline) ??
    BOUNDS.fencingDeadlineMs.max;
  const given = isTable(section) ? section : {};
  const device = (side: "master" | "slave"): FencingDeviceConfig => {
    const path = `fencing.${side}`;
    if (!Object.hasOwn(given, side)) {
      const other = side === "master" ? "slave" : "master";
      issues.add(
        path,
        `must be a table with the agent that switches the ${side} off: each host may have to ` +
          `switch the other one off, fencing.${other} alone is half of it`,
        undefined,
      );
      return { agent: "", parameters: {}, parametersFile: null };
    }
    return readDevice(given[side], { path, deadlineMs, issues });
  };
  const fencing: FencingConfig = {
    mode: typed.mode ?? FENCING_DEFAULTS.mode,
    action: typed.action ?? FENCING_DEFAULTS.action,
    deadlineMs,
    master: device("master"),
    slave: device("slave"),
  };
  if (issues.empty && isSameDevice(fencing.master, fencing.slave)) {
    const rule = "must differ from fencing.master, or each host would switch itself off";
    issues.add("fencing.slave", rule, asText("the same agent with the same parameters"));
  }
  return fencing;
}

/** Without what nobody may learn from the fingerprint, which is shown to everybody, by trying passwords. */
export function withoutSecrets(fencing: FencingConfig): FencingConfig {
  const strip = (device: FencingDeviceConfig): FencingDeviceConfig => ({
    ...device,
    parameters: Object.fromEntries(
      Object.entries(device.parameters)
        .map(([name, value]) => [name, SECRET_NAME.test(name) ? "secret" : value]),
    ),
  });
  return { ...fencing, master: strip(fencing.master), slave: strip(fencing.slave) };
}

function readDevice(
  section: unknown,
  { path, deadlineMs, issues }: {
    readonly path: string;
    readonly deadlineMs: number;
    readonly issues: IssueList;
  },
): FencingDeviceConfig {
  const typed = readTable(FENCING_DEVICE_SHAPE, section, path, issues);
  const parameters = readParameters(typed.parameters, `${path}.parameters`, issues);
  const delayMs = 1000 * Number(parameters["delay"] ?? 0);
  if (delayMs >= deadlineMs) {
    issues.add(
      `${path}.parameters.delay`,
      "must be shorter than fencing.deadline, within which the agent must have done its work",
      parameters["delay"],
    );
  }
  return {
    agent: typed.agent ?? "",
    parameters,
    parametersFile: typed.parameters_file ?? null,
  };
}

function readParameters(
  section: unknown,
  path: string,
  issues: IssueList,
): Readonly<Record<string, string>> {
  if (section === undefined) return {};
  if (!isTable(section)) {
    const rule = 'must be a table of the agent\'s own parameters such as { ip = "10.0.9.11" }';
    issues.add(path, rule, section);
    return {};
  }
  const entries = Object.entries(section);
  if (entries.length > LIMITS.fencingParameters) {
    const rule = `must be at most ${LIMITS.fencingParameters} parameters`;
    issues.add(path, rule, asText(`${entries.length}`));
    return {};
  }
  const read: Record<string, string> = {};
  for (const [name, value] of entries) {
    const at = joinKey(path, name);
    const why = whyNotParameter(name, value);
    // A secret is not repeated on a terminal either.
    const shown = SECRET_NAME.test(name) ? asText("a value that is not shown") : value;
    if (why !== null) issues.add(at, why, shown);
    else read[name] = parameterText(value as string | number | bigint | boolean);
  }
  return read;
}

function whyNotParameter(name: string, value: unknown): string | null {
  if (RESERVED_PARAMETERS.includes(name)) {
    return "must not be given: relais says that to the agent itself";
  }
  if (!PARAMETER_NAME.test(name)) {
    return "must be the name of a parameter: letters, digits, _ and -, starting with a letter";
  }
  if (typeof value === "boolean") return null;
  if (typeof value === "number") {
    return Number.isFinite(value) ? null : "must be a finite number";
  }
  if (typeof value === "bigint") return null;
  if (typeof value !== "string") return "must be a text, a number, true or false";
  return whyNotValue(value);
}

/** Why an agent could not read this value from one line; null: it can. */
export function whyNotValue(value: string): string | null {
  if (value.length > PARAMETER_MAX_CHARS) {
    return `must be at most ${PARAMETER_MAX_CHARS} characters long`;
  }
  if (/\p{Cc}/u.test(value)) return "must be one line without control characters";
  if (value !== value.trim()) return "must not begin or end with a blank: agents cut them off";
  return null;
}

function parameterText(value: string | number | bigint | boolean): string {
  if (typeof value === "boolean") return value ? "1" : "0";
  return String(value);
}

function isSameDevice(one: FencingDeviceConfig, other: FencingDeviceConfig): boolean {
  const sorted = ({ parameters }: FencingDeviceConfig): string =>
    JSON.stringify(Object.entries(parameters).sort(([a], [b]) => a < b ? -1 : 1));
  return one.agent === other.agent && one.parametersFile === other.parametersFile &&
    sorted(one) === sorted(other);
}
