/**
 * `[replication]`: the data sets and how they travel.
 *
 * @module
 */

import { parseDatabaseUrl } from "./database_url.ts";
import { REPLICATION_DEFAULTS as DEFAULTS, TRANSPORT_DEFAULTS } from "./defaults.ts";
import { formatDuration, parseDuration, readTable } from "./fields.ts";
import type { IssueList } from "./issues.ts";
import type { ProductPreset } from "./presets.ts";
import {
  ASTDB_SHAPE,
  DATABASE_SHAPE,
  FILES_SHAPE,
  REPLICATION_SHAPE,
  SSH_SHAPE,
  VERIFY_SHAPE,
} from "./schema.ts";
import type {
  AstdbConfig,
  DatabaseConfig,
  FilesConfig,
  ReplicationConfig,
  TablesConfig,
  TransportConfig,
} from "./types.ts";

/**
 * Reads `[replication]`; what was wrong is in `issues` and the result is then not to be used. A data set
 * is copied if its table stands in the file or the preset has it, unless it says `enabled = false`.
 */
export function readReplication(
  section: unknown,
  preset: ProductPreset | null,
  issues: IssueList,
): ReplicationConfig {
  const typed = readTable(REPLICATION_SHAPE, section ?? {}, "replication", issues);
  const read = <T>(value: unknown, reader: (value: unknown) => T): T | null => {
    return value === undefined && preset === null ? null : reader(value ?? {});
  };
  const transport = readTransport(typed.ssh, issues);
  const database = read(typed.database, (value) => {
    const database = readDatabase(value, preset, issues);
    return database && { ...database, compression: transport.compression };
  });
  return {
    transport,
    astdb: read(typed.astdb, (value) => readAstdb(value, preset, issues)),
    database,
    // A stream brings each row by itself, and would stop at rows that are there already.
    config: database?.mode === "copy" && database.delta
      ? tablesConfig(durationOf(DEFAULTS.configEvery))
      : null,
    hot: database?.mode !== "copy" || database.hotTables.length === 0
      ? null
      : tablesConfig(database.hotEveryMs),
    files: read(typed.files, (value) => readFiles(value, preset, issues)),
    verify: readVerify(typed.verify, issues),
  };
}

function readVerify(section: unknown, issues: IssueList): { readonly everyMs: number | null } {
  const { every } = readTable(VERIFY_SHAPE, section ?? {}, "replication.verify", issues);
  return { everyMs: every === undefined ? durationOf(DEFAULTS.verifyEvery) : every };
}

/** The age at which a copy is an alarm: typed, or some periods. */
function maxAgeOf(
  set: string,
  typed: { readonly max_age?: number | undefined },
  { everyMs, issues }: { readonly everyMs: number; readonly issues: IssueList },
): number {
  const least = durationOf(DEFAULTS.maxAgeLeast);
  const maxAgeMs = typed.max_age ?? Math.max(DEFAULTS.maxAgePeriods * everyMs, least);
  if (maxAgeMs <= everyMs) {
    const rule = `must be longer than every (${formatDuration(everyMs)}), or each copy is an alarm`;
    issues.add(`replication.${set}.max_age`, rule, formatDuration(maxAgeMs));
  }
  return maxAgeMs;
}

/** Single tables have no keys of their own: their age is judged by the period alone. */
function tablesConfig(everyMs: number): TablesConfig {
  const least = durationOf(DEFAULTS.maxAgeLeast);
  return { everyMs, maxAgeMs: Math.max(least, DEFAULTS.maxAgePeriods * everyMs) };
}

function readTransport(section: unknown, issues: IssueList): Required<TransportConfig> {
  const typed = readTable(SSH_SHAPE, section ?? {}, "replication.ssh", issues);
  return {
    user: typed.user ?? TRANSPORT_DEFAULTS.user,
    port: typed.port ?? TRANSPORT_DEFAULTS.port,
    identityFile: typed.identity_file ?? TRANSPORT_DEFAULTS.identityFile,
    knownHostsFile: typed.known_hosts_file ?? TRANSPORT_DEFAULTS.knownHostsFile,
    bandwidthBytesPerSecond: typed.bandwidth ?? null,
    compression: typed.compression ?? TRANSPORT_DEFAULTS.compression,
  };
}

function readAstdb(
  section: unknown,
  preset: ProductPreset | null,
  issues: IssueList,
): AstdbConfig | null {
  const typed = readTable(ASTDB_SHAPE, section, "replication.astdb", issues);
  if (typed.enabled === false) return null;
  const everyMs = typed.every ?? durationOf(DEFAULTS.astdbEvery);
  const path = typed.path ?? preset?.astdbPath;
  if (path === undefined) {
    const rule = 'must be the path of the astdb, e.g. "/var/lib/asterisk/astdb.sqlite3"';
    issues.add("replication.astdb.path", rule, undefined);
  }
  const localKeys = typed.local_keys ?? [];
  if (localKeys.length > 0 && path?.endsWith("/astdb")) {
    const rule =
      "must be empty for a Berkeley DB (astdb of Asterisk 1.8), which is copied as it is";
    issues.add("replication.astdb.local_keys", rule, localKeys);
  }
  return {
    path: path ?? "",
    everyMs,
    maxAgeMs: maxAgeOf("astdb", typed, { everyMs, issues }),
    onChange: typed.on_change ?? DEFAULTS.astdbOnChange,
    localKeys: localKeys.map((key) => key.startsWith("/") ? key : `/${key}`),
  };
}

function readDatabase(
  section: unknown,
  preset: ProductPreset | null,
  issues: IssueList,
): DatabaseConfig | null {
  const typed = readTable(DATABASE_SHAPE, section, "replication.database", issues);
  if (typed.enabled === false) return null;
  const url = typed.url ?? preset?.databaseUrl;
  const parsed = url === undefined
    ? { error: 'must be a URL such as "postgresql:///asterisk"' }
    : parseDatabaseUrl(url);
  if ("error" in parsed) issues.add("replication.database.url", parsed.error, url);
  const mode = typed.mode ?? DEFAULTS.databaseMode;
  const everyMs = typed.every ?? durationOf(
    mode === "stream" ? DEFAULTS.databaseEveryWithStream : DEFAULTS.databaseEvery,
  );
  if (typed.synchronous === true && mode !== "stream") {
    const rule = 'must be false unless mode = "stream": a copy is never synchronous';
    issues.add("replication.database.synchronous", rule, true);
  }
  const place = "error" in parsed ? { name: "", socketDir: null, port: null } : parsed;
  return {
    url: url ?? "",
    ...place,
    osUser: typed.os_user ?? DEFAULTS.databaseOsUser,
    everyMs,
    paceBytesPerSecond: typed.pace === undefined ? DEFAULTS.databasePace : typed.pace,
    mode,
    synchronous: typed.synchronous ?? DEFAULTS.synchronous,
    synchronousPatienceMs: typed.synchronous_patience ?? durationOf(DEFAULTS.synchronousPatience),
    maxAgeMs: maxAgeOf("database", typed, { everyMs, issues }),
    localTables: typed.local_tables ?? preset?.localTables ?? [],
    excludeTableData: typed.exclude_table_data ?? preset?.excludeTableData ?? [],
    onChange: typed.on_change ?? DEFAULTS.databaseOnChange,
    delta: typed.delta ?? DEFAULTS.databaseDelta,
    hotTables: typed.hot_tables ?? preset?.hotTables ?? [],
    hotEveryMs: typed.hot_every ?? durationOf(DEFAULTS.hotEvery),
    ...readReturn(typed, preset, issues),
  };
}

function readReturn(
  typed: {
    readonly return?: DatabaseConfig["returnMode"] | undefined;
    readonly return_tables?: string[] | undefined;
    readonly on_return_failure?: DatabaseConfig["onReturnFailure"] | undefined;
  },
  preset: ProductPreset | null,
  issues: IssueList,
): Pick<DatabaseConfig, "returnMode" | "returnTables" | "onReturnFailure"> {
  const returnMode = typed.return ?? DEFAULTS.databaseReturn;
  const returnTables = typed.return_tables ?? preset?.returnTables ?? [];
  if (returnMode === "tables" && returnTables.length === 0) {
    const rule = 'must list tables as return is "tables"';
    issues.add("replication.database.return_tables", rule, typed.return_tables);
  }
  return {
    returnMode,
    returnTables,
    onReturnFailure: typed.on_return_failure ?? DEFAULTS.databaseOnReturnFailure,
  };
}

function readFiles(
  section: unknown,
  preset: ProductPreset | null,
  issues: IssueList,
): FilesConfig | null {
  const typed = readTable(FILES_SHAPE, section, "replication.files", issues);
  if (typed.enabled === false) return null;
  const everyMs = typed.every ?? durationOf(DEFAULTS.filesEvery);
  const paths = typed.paths ?? preset?.paths ?? [];
  const returnPaths = typed.return_paths ?? preset?.returnPaths ?? [];
  if (paths.length === 0 && returnPaths.length === 0) {
    const rule = "must list paths to copy (or set enabled = false)";
    issues.add("replication.files.paths", rule, typed.paths);
  }
  for (const [key, list] of [["paths", paths], ["return_paths", returnPaths]] as const) {
    for (const [index, path] of list.entries()) {
      const why = whyNotCopied(path);
      if (why !== null) issues.add(`replication.files.${key}[${index}]`, why, path);
    }
  }
  return {
    onChange: typed.on_change ?? DEFAULTS.filesOnChange,
    everyMs,
    maxAgeMs: maxAgeOf("files", typed, { everyMs, issues }),
    paths,
    pathsFromPreset: typed.paths === undefined,
    excludes: typed.excludes ?? preset?.excludes ?? [],
    returnPaths,
  };
}

/** Directories of the system as a whole: `--delete` inside them would undo the other host. */
const WHOLE = new Set(
  ("/bin /boot /etc /home /lib /lib32 /lib64 /libx32 /media /mnt /opt /root /sbin /srv /tmp /usr " +
    "/var /var/cache /var/lib /var/log /var/spool /var/tmp").split(" "),
);
/** Trees that belong to the running host, to relais or to another data set. */
const FORBIDDEN = [
  "/dev",
  "/proc",
  "/run",
  "/sys",
  "/etc/relais",
  "/var/lib/relais",
  "/var/lib/postgresql",
  "/etc/ssh",
  "/etc/network",
] as const;

function whyNotCopied(path: string): string | null {
  if (WHOLE.has(path)) return "must not be a whole system directory: name what is in it";
  const tree = FORBIDDEN.find((root) => path === root || path.startsWith(`${root}/`));
  return tree === undefined
    ? null
    : `must not be in ${tree}, which is each host's own (PostgreSQL: use [replication.database])`;
}

function durationOf(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new TypeError(`Cannot use ${text} as a default as it is not a duration`);
  return ms;
}
