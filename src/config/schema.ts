/**
 * The keys that users type, table by table (DESIGN section 12), each with its rule in words. Keys are
 * snake_case with the unit in the name; what a key means and its default: `docs/configuration.md`.
 * Rules that need more than one key are in the `*_section.ts` files.
 *
 * @module
 */

import { z } from "zod";
import { BOUNDS, LIMITS } from "./defaults.ts";
import {
  absolutePath,
  argumentList,
  duration,
  flag,
  integer,
  ipAddress,
  isPlainPath,
  listOf,
  parseDuration,
  parseSize,
  text,
  word,
} from "./fields.ts";
import { parseShieldPort } from "./shield_port.ts";

const anyValue = z.unknown();
/** Names that stand in logs, metrics and file names. */
const networkName = text(
  "must be 1 to 31 of a-z, 0-9, _ and -, starting with a letter",
  /^[a-z][a-z0-9_-]{0,30}$/,
);

/** The file itself. Tables are read one by one, with the shapes below. */
export const ROOT_SHAPE = {
  cluster: anyValue,
  networks: anyValue,
  heartbeat: anyValue,
  services: anyValue,
  failback: anyValue,
  hooks: anyValue,
  replication: anyValue,
  fencing: anyValue,
  arbiter: anyValue,
} as const;

/** `[cluster]`. */
export const CLUSTER_SHAPE = {
  name: text(
    "must be a name of 1 to 64 letters, digits, spaces, dots, _ and -",
    /^[\p{L}\p{N}]([\p{L}\p{N} ._-]{0,62}[\p{L}\p{N}._-])?$/u,
  ),
  preset: word(["xivo", "wazo", "none"]).optional(),
} as const;

/** One `[[networks]]`. */
export const NETWORK_SHAPE = {
  name: networkName,
  master: ipAddress(),
  slave: ipAddress(),
  prefix: integer({ min: 0, max: 128 }),
  vip: ipAddress().optional(),
  vips: listOf(ipAddress(), { what: "addresses", max: LIMITS.vipsPerNetwork }).optional(),
  routes: anyValue,
  witnesses: listOf(ipAddress(), { what: "addresses", max: LIMITS.witnessesPerNetwork }).optional(),
  interface: text(
    "must be the name of a network interface: 1 to 15 characters, no spaces, slashes or colons",
    (name) => /^[^\s/:\p{Cc}]{1,15}$/u.test(name) && name !== "." && name !== "..",
  ).optional(),
} as const;

/** One entry of `networks[].routes`. */
export const ROUTE_SHAPE = {
  to: z.string({ error: 'must be "default" or a prefix such as "192.168.0.0/16"' }),
  via: ipAddress().optional(),
  src: ipAddress().optional(),
  table: z.union([
    integer({ min: 1, max: 4_294_967_295 }),
    text("", /^[A-Za-z][A-Za-z0-9_.-]{0,31}$/),
  ], { error: "must be the number or the name of a routing table" }).refine(
    (table) => !["local", "255", "unspec"].includes(String(table)),
    "must not be the kernel's own table of local addresses",
  ).optional(),
  metric: integer({ min: 0, max: 4_294_967_295 }).optional(),
} as const;

/** `[heartbeat]`. */
export const HEARTBEAT_SHAPE = {
  preset: word(["fast", "balanced", "calm"]).optional(),
  interval_ms: integer(BOUNDS.intervalMs).optional(),
  isolated_after_ms: integer(BOUNDS.isolatedAfterMs).optional(),
  dead_after_ms: integer(BOUNDS.deadAfterMs).optional(),
  unfit_after_ms: integer(BOUNDS.unfitAfterMs).optional(),
  boot_grace_ms: integer(BOUNDS.bootGraceMs).optional(),
  http_port: integer(BOUNDS.port).optional(),
} as const;

/** systemd.unit(5): unit names. A template without an instance cannot be started. */
const UNIT_NAME =
  /^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]{0,240}\.(service|target|socket|timer|path|mount)$/;
const unitName = text(
  'must be the full name of a systemd unit, e.g. "asterisk.service"',
  (name) => UNIT_NAME.test(name) && !/@\.[a-z]+$/.test(name),
).refine((name) => name !== "relais.service", "must not be relais itself");
const shieldPort = text(
  'must be "udp:PORT" or "tcp:PORT", e.g. "udp:5060"',
  (given) => parseShieldPort(given) !== null,
);
const command = argumentList({ absolute: true, max: LIMITS.arguments });

/** `[services]`. */
export const SERVICES_SHAPE = {
  driver: word(["systemd", "command"]).optional(),
  units: listOf(unitName, { what: "unit names", max: LIMITS.units }).optional(),
  start: command.optional(),
  stop: command.optional(),
  status: command.optional(),
  gate: flag().optional(),
  shield: listOf(shieldPort, { what: "ports", max: LIMITS.shieldPorts }).optional(),
  start_deadline_s: integer(BOUNDS.deadlineS).optional(),
  stop_deadline_s: integer(BOUNDS.deadlineS).optional(),
  health: anyValue,
} as const;

/** `services.health`. */
export const HEALTH_SHAPE = {
  sip: z.string({ error: 'must be "udp:HOST:PORT" or "off"' }).optional(),
  rise: integer(BOUNDS.rise).optional(),
  fall: integer(BOUNDS.fall).optional(),
  interval_ms: integer(BOUNDS.healthIntervalMs).optional(),
} as const;

/** `[failback]`. */
export const FAILBACK_SHAPE = {
  mode: word(["auto", "manual", "window"]).optional(),
  window: z.string({ error: 'must be "HH:MM-HH:MM"' }).optional(),
  stable_s: integer(BOUNDS.stableS).optional(),
  when_idle: anyValue,
} as const;

/** `failback.when_idle`. */
export const WHEN_IDLE_SHAPE = {
  command: argumentList({ absolute: false, max: LIMITS.arguments }),
  deadline_s: integer(BOUNDS.idleDeadlineS).optional(),
} as const;

/** `[hooks]`. */
export const HOOKS_SHAPE = {
  presets: listOf(word(["agents-relog", "dhcp"]), { what: "presets", max: 2 }).optional(),
  before_takeover: anyValue,
  after_takeover: anyValue,
  before_handback: anyValue,
  after_handback: anyValue,
  on_alert: anyValue,
} as const;

/** One entry of a list of `[hooks]`. */
export const HOOK_SHAPE = {
  command: argumentList({ absolute: false, max: LIMITS.arguments }),
  deadline_s: integer(BOUNDS.hookDeadlineS).optional(),
} as const;

/** One entry of `hooks.on_alert`. */
export const ALERT_HOOK_SHAPE = {
  ...HOOK_SHAPE,
  input: word(["text", "json"]).optional(),
} as const;

/** `[replication]`. */
export const REPLICATION_SHAPE = {
  ssh: anyValue,
  astdb: anyValue,
  database: anyValue,
  files: anyValue,
  verify: anyValue,
} as const;

/** A Unix user name as Debian's adduser makes them. */
const userName = text(
  "must be the name of a system user",
  /^[a-z_][a-z0-9_-]{0,31}$/,
);

const bandwidthRule =
  'must be bytes per second such as "10MB" or "10MiB", at least "100kB", or "0" for no limit';
/** Slower than this, a day would not be enough for a copy. */
const LEAST_BANDWIDTH = 100_000;

/** `[replication.ssh]`. */
export const SSH_SHAPE = {
  user: userName.optional(),
  port: integer(BOUNDS.port).optional(),
  identity_file: absolutePath().optional(),
  known_hosts_file: absolutePath().optional(),
  bandwidth: z.string({ error: bandwidthRule }).refine(
    (given) => given === "0" || (parseSize(given) ?? 0) >= LEAST_BANDWIDTH,
    bandwidthRule,
  ).transform((given) => given === "0" ? null : parseSize(given)).optional(),
  compression: word(["zstd", "none"]).optional(),
} as const;

/** `[replication.astdb]`. */
export const ASTDB_SHAPE = {
  enabled: flag().optional(),
  path: absolutePath().optional(),
  every: duration(BOUNDS.astdbEveryMs).optional(),
  max_age: duration(BOUNDS.maxAgeMs).optional(),
  on_change: flag().optional(),
  local_keys: listOf(
    text(
      'must be a key of the astdb such as "/pbx/UUID", or a pattern with * such as "/dundi/*"',
      (key) => key.length <= 256 && /^\/?[^/*\s][^\p{Cc}]*$/u.test(key),
    ),
    { what: "keys or patterns", max: LIMITS.paths },
  ).optional(),
} as const;

const paceRule =
  'must be bytes per second such as "20MB" or "20MiB", at least "100kB", or "0" for none';
/** Slower than this, a dump would hold its snapshot for days. */
const LEAST_PACE = 100_000;

const tableRule = "must be the name of a table, with its schema if it is not public";
const tablePatternRule = "must be a table name or a pattern with * and ?";

/** `[replication.database]`. */
export const DATABASE_SHAPE = {
  enabled: flag().optional(),
  url: z.string({ error: 'must be a URL such as "postgresql:///asterisk"' }).optional(),
  os_user: userName.optional(),
  every: duration(BOUNDS.copyEveryMs).optional(),
  pace: z.string({ error: paceRule }).refine(
    (given) => given === "0" || (parseSize(given) ?? 0) >= LEAST_PACE,
    paceRule,
  ).transform((given) => given === "0" ? null : parseSize(given)).optional(),
  mode: word(["copy", "stream"]).optional(),
  synchronous: flag().optional(),
  synchronous_patience: duration(BOUNDS.synchronousPatienceMs).optional(),
  max_age: duration(BOUNDS.maxAgeMs).optional(),
  local_tables: listOf(
    text(tableRule, /^[A-Za-z_][A-Za-z0-9_$]{0,62}(\.[A-Za-z_][A-Za-z0-9_$]{0,62})?$/),
    { what: "tables", max: LIMITS.tables },
  ).optional(),
  exclude_table_data: listOf(
    text(
      tablePatternRule,
      /^[A-Za-z_*?][A-Za-z0-9_$*?]{0,62}(\.[A-Za-z_*?][A-Za-z0-9_$*?]{0,62})?$/,
    ),
    { what: "tables or patterns", max: LIMITS.tables },
  ).optional(),
  on_change: flag().optional(),
  delta: flag().optional(),
  hot_tables: listOf(
    text(
      tablePatternRule,
      /^[A-Za-z_*?][A-Za-z0-9_$*?]{0,62}(\.[A-Za-z_*?][A-Za-z0-9_$*?]{0,62})?$/,
    ),
    { what: "tables or patterns", max: LIMITS.tables },
  ).optional(),
  hot_every: duration(BOUNDS.copyEveryMs).optional(),
  return: word(["none", "tables", "all"]).optional(),
  return_tables: listOf(
    text(
      "must be a table name or a pattern with * and ?, with append: or replace: in front if need be",
      /^((append|replace):)?[A-Za-z_*?][A-Za-z0-9_$*?]{0,62}(\.[A-Za-z_*?][A-Za-z0-9_$*?]{0,62})?$/,
    ),
    { what: "tables or patterns", max: LIMITS.tables },
  ).optional(),
  on_return_failure: word(["wait", "go"]).optional(),
} as const;

/** What rsync would take for something else than a pattern to leave out. */
const excludePattern = text(
  'must be an rsync pattern to leave out, not a rule of another kind ("+ …", "- …", "!")',
  (pattern) =>
    pattern !== "" && pattern.length <= 1024 && !/\p{Cc}/u.test(pattern) &&
    !/^([+\-!]|\s|[;#])/.test(pattern),
);

/** `[replication.files]`. */
export const FILES_SHAPE = {
  enabled: flag().optional(),
  every: duration(BOUNDS.copyEveryMs).optional(),
  max_age: duration(BOUNDS.maxAgeMs).optional(),
  paths: listOf(absolutePath(), { what: "paths", max: LIMITS.paths }).optional(),
  excludes: listOf(excludePattern, { what: "patterns", max: LIMITS.paths }).optional(),
  on_change: flag().optional(),
  return_paths: listOf(absolutePath(), { what: "paths", max: LIMITS.paths }).optional(),
} as const;

const verifyRule = 'must be a duration such as "1d" or "7d", from 1h to 90d, or "0" for never';

/** `[replication.verify]`. */
export const VERIFY_SHAPE = {
  every: z.string({ error: verifyRule }).refine((given) => {
    const ms = given === "0" ? BOUNDS.verifyEveryMs.min : parseDuration(given) ?? 0;
    return ms >= BOUNDS.verifyEveryMs.min && ms <= BOUNDS.verifyEveryMs.max;
  }, verifyRule).transform((given) => given === "0" ? null : parseDuration(given)).optional(),
} as const;

/** `[fencing]`. */
export const FENCING_SHAPE = {
  mode: word(["required", "best-effort"]).optional(),
  action: word(["off", "reboot"]).optional(),
  deadline: duration(BOUNDS.fencingDeadlineMs).optional(),
  master: anyValue,
  slave: anyValue,
} as const;

/** `[fencing.master]` and `[fencing.slave]`: how that host is switched off by the other one. */
export const FENCING_DEVICE_SHAPE = {
  agent: text(
    'must be the name of a program in /usr/sbin such as "fence_ipmilan", or an absolute path',
    (name) => /^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$/.test(name) || isPlainPath(name),
  ),
  parameters: anyValue,
  parameters_file: absolutePath().optional(),
} as const;

/** An endpoint as etcd's own tools take it; a path, a query or a password in it would be no endpoint. */
const endpoint = text(
  'must be the URL of an etcd endpoint such as "http://10.20.0.254:2379"',
  isEndpoint,
);

function isEndpoint(given: string): boolean {
  if (!/^https?:\/\/[^\s/?#@]+\/?$/.test(given) || !URL.canParse(given)) return false;
  const { hostname, pathname } = new URL(given);
  return hostname !== "" && pathname === "/";
}

/** `[arbiter]`. */
export const ARBITER_SHAPE = {
  etcd: listOf(endpoint, { what: "endpoints", max: LIMITS.arbiterEndpoints, min: 1 }),
  ttl: duration(BOUNDS.arbiterTtlMs).optional(),
  policy: word(["hold", "release"]).optional(),
  prefix: text(
    'must begin and end with "/", such as "/relais/", at most 128 printable characters',
    /^\/([\x21-\x7e]{0,126}\/)?$/,
  ).optional(),
  ca: absolutePath().optional(),
  cert: absolutePath().optional(),
  key: absolutePath().optional(),
  username: text(
    "must be the name of an etcd user: 1 to 128 characters without blanks",
    /^[^\s\p{Cc}]{1,128}$/u,
  ).optional(),
  password_file: absolutePath().optional(),
} as const;
