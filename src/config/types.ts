/**
 * The configuration as the program uses it: complete (defaults filled in), checked, frozen. The file
 * that users type is described in `schema.ts`; units are in the names.
 *
 * @module
 */

import type { Role } from "../core/types.ts";

/** One IP network that both hosts are on. */
export interface NetworkConfig {
  readonly name: string;
  /** The hosts' own addresses, canonical text (`10.20.0.11`, `fd00::b`). */
  readonly master: string;
  readonly slave: string;
  readonly family: 4 | 6;
  readonly prefix: number;
  /** Virtual addresses, canonical text; may be empty. */
  readonly vips: readonly string[];
  readonly routes: readonly RouteConfig[];
  /** Addresses that a live network answers from; default: the gateways of `routes`. */
  readonly witnesses: readonly string[];
  /** Null: the interface that carries our own address. */
  readonly interface: string | null;
}

/** A route that goes with the VIPs of its network. */
export interface RouteConfig {
  /** `default` or a prefix in canonical form (`192.168.0.0/16`). */
  readonly to: string;
  readonly via: string | null;
  /** Source address; default: the network's first VIP. */
  readonly src: string | null;
  /** Routing table (number or name); null: main. */
  readonly table: string | null;
  readonly metric: number | null;
}

/** Detection; the arithmetic is in `defaults.ts`. */
export interface HeartbeatConfig {
  readonly preset: "fast" | "balanced" | "calm";
  readonly intervalMs: number;
  readonly isolatedAfterMs: number;
  readonly deadAfterMs: number;
  readonly unfitAfterMs: number;
  readonly bootGraceMs: number;
  /** Pace of `GET /health` to the peer, derived. */
  readonly httpIntervalMs: number;
  /** Pace of the echo requests to each witness, derived: several fit into `isolatedAfterMs`. */
  readonly witnessIntervalMs: number;
  readonly httpPort: number;
}

/** The telephony check of the local services. */
export interface ServiceHealthConfig {
  /** `udp:HOST:PORT` taken apart; null: no SIP check (running services count as healthy). */
  readonly sip: { readonly host: string; readonly port: number } | null;
  readonly rise: number;
  readonly fall: number;
  readonly intervalMs: number;
}

/** One port of the shield. */
export interface ShieldPort {
  readonly protocol: "udp" | "tcp";
  readonly port: number;
}

/** The operator's services. */
export interface ServicesConfig {
  readonly driver: "systemd" | "command";
  /** systemd units in start order (driver `systemd`). */
  readonly units: readonly string[];
  /**
   * The units are the preset's, not the operator's: those that are not installed on a host are skipped
   * there. A unit that the file names must be installed.
   */
  readonly unitsFromPreset: boolean;
  /** Argument lists (driver `command`); null with driver `systemd`. */
  readonly command: {
    readonly start: readonly string[];
    readonly stop: readonly string[];
    /** Exit status 0: running; anything else: not running. */
    readonly status: readonly string[];
  } | null;
  /** Drop-ins keep everything but relais from starting the units (driver `systemd` only). */
  readonly gate: boolean;
  /** What the shield drops while services start or stop; empty: there is no shield. */
  readonly shield: readonly ShieldPort[];
  /** Deadline of starting one unit (or the start command). */
  readonly startDeadlineMs: number;
  /** Deadline of stopping one unit (or the stop command). */
  readonly stopDeadlineMs: number;
  readonly health: ServiceHealthConfig;
}

/** When the stand-in gives service back to the master. */
export interface FailbackConfig {
  readonly mode: "auto" | "manual" | "window";
  /** Local time of day, minutes since midnight; null unless mode is `window`. May cross midnight. */
  readonly window: { readonly fromMinute: number; readonly toMinute: number } | null;
  readonly stableMs: number;
  readonly whenIdle: {
    /** Prints the number of calls in progress; its first integer is read. */
    readonly command: readonly string[];
    readonly deadlineMs: number;
  } | null;
}

/** One program of the operator's that a move runs. */
export interface HookConfig {
  /** Argument list; the program is an absolute path or a name of PATH. */
  readonly command: readonly string[];
  /** It is killed, with its process group, when it takes longer. */
  readonly deadlineMs: number;
}

/** When a hook runs: around `take` on the node that takes, around `hand-over` on the node that gives. */
export type HookMoment = "beforeTakeover" | "afterTakeover" | "beforeHandback" | "afterHandback";

/** One program of the operator's that is told of alerts. */
export interface AlertHookConfig extends HookConfig {
  /** What it gets on standard input: sentences for people, or a JSON document. */
  readonly input: "text" | "json";
}

/** `[hooks]`: run one after the other, in this order; those of the presets come first. */
export type HooksConfig = Readonly<Record<HookMoment, readonly HookConfig[]>> & {
  readonly onAlert: readonly AlertHookConfig[];
};

/** How the hosts reach each other for bulk data (DESIGN section 8). */
export interface TransportConfig {
  readonly user: string;
  readonly port: number;
  readonly identityFile: string;
  readonly knownHostsFile: string;
  /** Most bytes per second over the line for what the schedule copies; null or absent: no limit. */
  readonly bandwidthBytesPerSecond?: number | null;
  /** Of the database's dump and of files; absent: `TRANSPORT_DEFAULTS.compression`. */
  readonly compression?: Compression;
}

/** How bulk data is made smaller for the line. */
export type Compression = "zstd" | "none";

/** `[replication.astdb]`. */
export interface AstdbConfig {
  readonly path: string;
  readonly everyMs: number;
  /** A last good copy that is older is an alarm; absent: never. */
  readonly maxAgeMs?: number;
  readonly onChange: boolean;
  /** Keys, with `*` for any text, that stay each host's own at an installation. */
  readonly localKeys: readonly string[];
}

/** `[replication.database]`. */
export interface DatabaseConfig {
  /** As typed, e.g. `postgresql:///asterisk` (local socket) with optional `?host=/dir&port=N`. */
  readonly url: string;
  /** Database name taken from the URL. */
  readonly name: string;
  /** Directory of the local socket; null: libpq's default. */
  readonly socketDir: string | null;
  /** Port of the local socket; null: libpq's default. */
  readonly port: number | null;
  /** System user whose peer authentication opens the local socket. */
  readonly osUser: string;
  readonly everyMs: number;
  /** Most bytes per second read from pg_dump; null: no limit; absent: `REPLICATION_DEFAULTS.databasePace`. */
  readonly paceBytesPerSecond?: number | null;
  /** `copy`: whole copies only. `stream`: PostgreSQL's logical replication, seeded by whole copies. */
  readonly mode: "copy" | "stream";
  /** `stream` only: a commit on the master waits until the slave has it on disk. */
  readonly synchronous: boolean;
  /** How long a commit may wait for a slave that does not answer before it goes on without it. */
  readonly synchronousPatienceMs: number;
  /** A last good copy that is older is an alarm; absent: never. */
  readonly maxAgeMs?: number;
  /** `replication.ssh.compression`: what dumps and what restores must agree; absent: the default. */
  readonly compression?: Compression;
  /** Tables (`schema.table` or `table`) that stay each host's own across a copy. */
  readonly localTables: readonly string[];
  /** Tables whose rows are not copied (history). Patterns as in `pg_dump --exclude-table-data`. */
  readonly excludeTableData: readonly string[];
  /** A full copy also soon after configuration tables changed (unless {@linkcode delta} brings them). */
  readonly onChange: boolean;
  /** Configuration tables follow their changes: data set `config`. */
  readonly delta: boolean;
  /** Tables copied each {@linkcode hotEveryMs} or on change: data set `hot`. Names or patterns. */
  readonly hotTables: readonly string[];
  readonly hotEveryMs: number;
  /** What of the slave's database goes back at a hand-back. */
  readonly returnMode: "none" | "tables" | "all";
  /** `[append:|replace:]table`; patterns as in `excludeTableData`. */
  readonly returnTables: readonly string[];
  /** `wait`: the slave serves on until what it gained can go back; `go`: it goes back without. */
  readonly onReturnFailure: "wait" | "go";
}

/** A data set that follows from `[replication.database]`: single tables of it. */
export interface TablesConfig {
  /** Longest time between two copies, or proofs that nothing changed. */
  readonly everyMs: number;
  /** A last good copy that is older is an alarm; absent: never. */
  readonly maxAgeMs?: number;
}

/** `[replication.files]`. */
export interface FilesConfig {
  readonly everyMs: number;
  /** Also soon after something in `paths` changed. */
  readonly onChange: boolean;
  /** A last good copy that is older is an alarm; absent: never. */
  readonly maxAgeMs?: number;
  readonly paths: readonly string[];
  /** The paths are the preset's, not the operator's: those that a host does not have are skipped there. */
  readonly pathsFromPreset: boolean;
  readonly excludes: readonly string[];
  readonly returnPaths: readonly string[];
}

/** The data sets; null: that set is not copied. */
export interface ReplicationConfig {
  readonly transport: TransportConfig;
  readonly astdb: AstdbConfig | null;
  readonly database: DatabaseConfig | null;
  /** Configuration tables; null: they travel with the full copy only. */
  readonly config: TablesConfig | null;
  /** Hot tables; null: none are named. */
  readonly hot: TablesConfig | null;
  readonly files: FilesConfig | null;
  /** How often the standby proves its copies by itself; null: never; absent: not scheduled. */
  readonly verify?: { readonly everyMs: number | null };
}

/** How one host is switched off: a fence agent (FenceAgentAPI) with its own parameters. */
export interface FencingDeviceConfig {
  /** A name in /usr/sbin, or an absolute path. */
  readonly agent: string;
  /** As the agent reads them; true is `1`, false is `0`. */
  readonly parameters: Readonly<Record<string, string>>;
  /** `key=value` lines that only root can read, for secrets; null: none. */
  readonly parametersFile: string | null;
}

/** `[fencing]`: switching the peer off before a takeover that it did not agree to. */
export interface FencingConfig {
  /** `required`: without it nothing is mounted; `best-effort`: it is tried, then the takeover goes on. */
  readonly mode: "required" | "best-effort";
  readonly action: "off" | "reboot";
  /** For the whole of it: the action and the look at its result. */
  readonly deadlineMs: number;
  /** How the slave switches the master off. */
  readonly master: FencingDeviceConfig;
  /** How the master switches the slave off. */
  readonly slave: FencingDeviceConfig;
}

/** `[arbiter]`. */
export interface ArbiterConfig {
  /** URLs without a slash at the end, e.g. `http://10.20.0.254:2379`. */
  readonly endpoints: readonly string[];
  /** Time to live of the lease. */
  readonly ttlMs: number;
  /** When etcd does not answer: serve on with the peer's consent, or let go when the lease ends. */
  readonly policy: "hold" | "release";
  /** The key in etcd that holds the right of this cluster, e.g. `/relais/siege/serve`. */
  readonly rightKey: string;
  /** PEM files; null: the system's authorities, no client certificate. */
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly username: string | null;
  readonly passwordFile: string | null;
}

/** The whole of `/etc/relais/relais.toml`. */
export interface Config {
  readonly cluster: { readonly name: string; readonly preset: "xivo" | "wazo" | "none" };
  readonly networks: readonly NetworkConfig[];
  readonly heartbeat: HeartbeatConfig;
  readonly services: ServicesConfig;
  readonly failback: FailbackConfig;
  readonly hooks: HooksConfig;
  readonly replication: ReplicationConfig;
  /** Absent: the peer is never switched off. */
  readonly fencing?: FencingConfig;
  /** Null: no arbiter, the two hosts decide between themselves. */
  readonly arbiter: ArbiterConfig | null;
  /** SHA-256 (hex) of the meaning of the file: equal on both hosts or data is refused. */
  readonly fingerprint: string;
}

/** A configuration seen from one of the two hosts. */
export interface LocalConfig extends Config {
  readonly role: Role;
}
