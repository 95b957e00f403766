/**
 * From the text of `relais.toml` to a complete, checked, frozen {@linkcode Config}.
 *
 * @module
 */

import { parse, TomlError } from "smol-toml";
import { readArbiter } from "./arbiter_section.ts";
import { LIMITS } from "./defaults.ts";
import { readFailback } from "./failback_section.ts";
import { readTable } from "./fields.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { readHooks } from "./hooks_section.ts";
import { asText, ConfigError, IssueList } from "./issues.ts";
import { readNetworks } from "./networks_section.ts";
import { PRODUCT_PRESETS } from "./presets.ts";
import { readReplication } from "./replication_section.ts";
import { CLUSTER_SHAPE, ROOT_SHAPE } from "./schema.ts";
import { checkDatabaseRuns, readServices, withExtraUnits } from "./services_section.ts";
import { readHeartbeat } from "./timing_section.ts";
import type { Config } from "./types.ts";

export { ConfigError, type ConfigIssue, formatIssue } from "./issues.ts";
export { coreConfig, identifyRole, IdentityError, localConfig } from "./identity.ts";

/**
 * Reads the text of a configuration file.
 *
 * @throws {ConfigError} with every problem of the file
 */
export function parseConfig(text: string): Config {
  const document = parseToml(text);
  const issues = new IssueList();
  const root = readTable(ROOT_SHAPE, document, "", issues);
  const cluster = readTable(CLUSTER_SHAPE, root.cluster ?? {}, "cluster", issues);
  const presetName = cluster.preset ?? "none";
  const preset = PRODUCT_PRESETS[presetName];
  const { hooks, units } = readHooks(root.hooks, preset, issues);
  const services = withExtraUnits(readServices(root.services, preset, issues), units, issues);
  const replication = readReplication(root.replication, preset, issues);
  checkDatabaseRuns(services, replication.database !== null, issues);
  const networks = readNetworks(root.networks, issues);
  const heartbeat = readHeartbeat(root.heartbeat, issues);
  const clusterName = cluster.name ?? "";
  const arbiter = readArbiter(root.arbiter, { heartbeat, clusterName, issues });
  const meaning = {
    cluster: { name: clusterName, preset: presetName },
    networks,
    heartbeat,
    services,
    failback: readFailback(root.failback, issues),
    hooks,
    replication,
    // Left out where there is none, so that the fingerprint is that of versions which knew of none.
    ...(arbiter === null ? {} : { arbiter }),
  };
  if (!issues.empty) throw new ConfigError(issues.list());
  return deepFreeze({ ...meaning, arbiter, fingerprint: fingerprintOf(meaning) });
}

/**
 * Reads a configuration file.
 *
 * @throws {ConfigError} when its content is refused; what `Deno.open` throws when it cannot be read
 */
export async function loadConfig(path: string): Promise<Config> {
  return parseConfig(await readBounded(path));
}

/** Reads at most {@linkcode LIMITS.fileBytes} and one byte: a device or a huge file is no file of ours. */
async function readBounded(path: string): Promise<string> {
  using file = await Deno.open(path, { read: true });
  const bytes = new Uint8Array(LIMITS.fileBytes + 1);
  let size = 0;
  while (size < bytes.length) {
    const count = await file.read(bytes.subarray(size));
    if (count === null) break;
    size += count;
  }
  if (size > LIMITS.fileBytes) throw refuse("more than that");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, size));
  } catch (cause) {
    const got = asText("bytes that are not UTF-8");
    throw oneIssue("must be text in UTF-8, as TOML is", got, cause);
  }
}

function parseToml(text: string): unknown {
  if (text.length > LIMITS.fileBytes) throw refuse(`${text.length} characters`);
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw oneIssue("must be valid TOML", asText(whereAndWhy(cause)), cause);
  }
}

/** `line L, column C: what the parser says`, on one line. */
function whereAndWhy(error: Error): string {
  const first = (error.message.split("\n")[0] ?? "").replace(/^Invalid TOML document: /, "");
  if (!(error instanceof TomlError)) return first;
  return `line ${error.line}, column ${error.column}: ${first}`;
}

function refuse(got: string): ConfigError {
  return oneIssue(`must be at most ${LIMITS.fileBytes} bytes`, asText(got));
}

function oneIssue(rule: string, got: unknown, cause?: unknown): ConfigError {
  const issues = new IssueList();
  issues.add("", rule, got);
  return new ConfigError(issues.list(), { cause });
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
