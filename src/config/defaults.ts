/**
 * Every default and every bound of the configuration, with what it costs to change it. Units are in the
 * names. `docs/configuration.md` says the same to operators.
 *
 * Worst cases, with I = interval, S = isolated_after, D = dead_after (all in ms):
 * - silent death to decision: the last sign may have come just before the death, the judgement is made
 *   on a tick: at most D + I. With `fast` 550, `balanced` 3200, `calm` 10500.
 * - cut-off node to dropped VIPs: at most S + I. Since S + I <= D is required, a cut-off master that
 *   still runs has dropped its VIPs before the slave, which lost its last sign not earlier, mounts them.
 *   What remains as margin is D - S - I: 200 (`fast`), 1300 (`balanced`), 3500 (`calm`).
 * - lost packets that are forgiven: D / I - 1 echo requests in a row (and as many on each other link):
 *   9 (`fast`), 14 (`balanced`), 19 (`calm`).
 * - witness echo requests before a node calls itself isolated: S / witnessInterval >= 2, 5 where S >= 5I.
 *
 * @module
 */

import type { Config } from "./types.ts";

/** The numbers of `[heartbeat]` that a preset fixes. */
export interface HeartbeatPreset {
  readonly intervalMs: number;
  readonly isolatedAfterMs: number;
  readonly deadAfterMs: number;
  readonly unfitAfterMs: number;
}

/**
 * `heartbeat.preset`. Shorter detection costs packets, processor time and, above all, false takeovers
 * when a host stands still for a moment (virtual machines being snapshot stall for 2.8 to 4.4 s).
 */
export const HEARTBEAT_PRESETS = {
  /** Two physical hosts on one quiet switch. */
  fast: { intervalMs: 50, isolatedAfterMs: 250, deadAfterMs: 500, unfitAfterMs: 3000 },
  /** The default: forgives a spanning-tree hiccup, stays far under a caller's patience. */
  balanced: { intervalMs: 200, isolatedAfterMs: 1500, deadAfterMs: 3000, unfitAfterMs: 10_000 },
  /** Virtual machines that are live-migrated or snapshot while they serve. */
  calm: { intervalMs: 500, isolatedAfterMs: 6000, deadAfterMs: 10_000, unfitAfterMs: 10_000 },
} as const satisfies Record<Config["heartbeat"]["preset"], HeartbeatPreset>;

/** `heartbeat.preset` when none is typed. */
export const DEFAULT_HEARTBEAT_PRESET = "balanced";

/** `heartbeat.http_port`: free in the registries and on a XiVO; the same on both hosts. */
export const DEFAULT_HTTP_PORT = 8460;

/**
 * `heartbeat.boot_grace_ms`: after a boot of both hosts at once the slave waits this long for a master
 * that it never heard. Longer: fewer needless takeovers after a power cut; shorter: a slave that comes
 * back alone serves sooner. Four detections, and never less than a network needs to come up.
 */
export function defaultBootGraceMs(deadAfterMs: number): number {
  return Math.max(5000, 4 * deadAfterMs);
}

/**
 * Pace of `GET /health`: dearer than an echo, so three chances per
 * detection are enough, never faster than the echo and never slower than 1 s (unless the echo is), for
 * what only the answer tells (fitness, epoch).
 */
export function derivedHttpIntervalMs(options: {
  readonly intervalMs: number;
  readonly deadAfterMs: number;
}): number {
  return Math.max(options.intervalMs, Math.min(1000, Math.floor(options.deadAfterMs / 3)));
}

/** Pace of witness echoes: five chances before a node calls itself isolated, for little traffic. */
export function derivedWitnessIntervalMs(options: {
  readonly intervalMs: number;
  readonly isolatedAfterMs: number;
}): number {
  return Math.max(options.intervalMs, Math.floor(options.isolatedAfterMs / 5));
}

/** Bounds of the typed numbers; outside of them the file is refused. */
export const BOUNDS = {
  /** Under 20 ms the timers of the host are the noise; over 10 s nothing is detected in time. */
  intervalMs: { min: 20, max: 10_000 },
  isolatedAfterMs: { min: 40, max: 300_000 },
  /** Five minutes is the documented worst case of XiVO today; more than that is no takeover. */
  deadAfterMs: { min: 60, max: 300_000 },
  unfitAfterMs: { min: 0, max: 3_600_000 },
  bootGraceMs: { min: 0, max: 3_600_000 },
  port: { min: 1, max: 65_535 },
  /** A unit that needs more than an hour to start does not come back within a takeover. */
  deadlineS: { min: 1, max: 3600 },
  rise: { min: 1, max: 100 },
  fall: { min: 1, max: 100 },
  /** Under 100 ms the check is load; over 60 s it is no check. */
  healthIntervalMs: { min: 100, max: 60_000 },
  stableS: { min: 0, max: 86_400 },
  idleDeadlineS: { min: 1, max: 86_400 },
  /** A hook stands between the phones and their service: ten minutes are more than any outage. */
  hookDeadlineS: { min: 1, max: 600 },
  /** The astdb copy is a read of a small file: cheap enough for each second. */
  astdbEveryMs: { min: 1000, max: 86_400_000 },
  /** A database copy or an rsync run is work for both hosts: not more often than each 10 s. */
  copyEveryMs: { min: 10_000, max: 604_800_000 },
  /** Shorter than a check is no patience; a PBX whose commits stand for a minute is down. */
  synchronousPatienceMs: { min: 1000, max: 60_000 },
  /** Thirty days: an alarm that comes later is none. */
  maxAgeMs: { min: 10_000, max: 2_592_000_000 },
  /** A check reads all of the database: not more often than each hour. */
  verifyEveryMs: { min: 3_600_000, max: 7_776_000_000 },
  /** Under a second no power goes off; over five minutes nobody waits for a telephone. */
  fencingDeadlineMs: { min: 1000, max: 300_000 },
  /**
   * Under 5 s the kernel's own memory of the VIPs (3 s) leaves no time for a renewal that fails once;
   * a lease of more than a minute is an outage of more than a minute.
   */
  arbiterTtlMs: { min: 5000, max: 60_000 },
  prefix4: { min: 8, max: 31 },
  prefix6: { min: 16, max: 127 },
} as const;

/** How many of each the file may hold: everything that can grow has a bound. */
export const LIMITS = {
  fileBytes: 1_048_576,
  networks: 16,
  vipsPerNetwork: 32,
  routesPerNetwork: 64,
  witnessesPerNetwork: 16,
  units: 128,
  shieldPorts: 32,
  paths: 256,
  tables: 1024,
  arguments: 64,
  hooks: 16,
  fencingParameters: 64,
  arbiterEndpoints: 7,
  issues: 200,
} as const;

/** `[arbiter]`. */
export const ARBITER_DEFAULTS = {
  /**
   * Longer: a slower takeover after a sudden death (it waits for the rest of the lease); shorter: an
   * election in etcd (1 to 2 s) or a slow disk there comes closer to the end of a lease.
   */
  ttlMs: 6000,
  /** An etcd that is down must not take the telephones with it while both hosts hear each other. */
  policy: "hold",
  prefix: "/relais/",
} as const;

/** `[services]`. */
export const SERVICES_DEFAULTS = {
  /** SIP as phones and trunks speak it; what is closed on the host anyway costs nothing. */
  shield: ["udp:5060", "tcp:5060", "tcp:5061"],
  /** A large XiVO's Asterisk may need 120 s to start: half as much again. */
  startDeadlineS: 180,
  /** Asterisk may take 15 s after SIGTERM; systemd itself kills after 90 s by default. */
  stopDeadlineS: 100,
  /** Two answers in a row: one late answer of a starting Asterisk is not yet health. */
  rise: 2,
  /** Three misses in a row: a reload may swallow one or two. */
  fall: 3,
  healthIntervalMs: 1000,
} as const;

/** `[failback]`. */
export const FAILBACK_DEFAULTS = {
  mode: "auto",
  /** Longer: fewer moves when a master flaps; shorter: sooner back on the preferred host. */
  stableS: 30,
  /** How long a hand-back waits for the last call to end before it goes on regardless. */
  idleDeadlineS: 600,
} as const;

/** `[hooks]`. */
export const HOOKS_DEFAULTS = {
  /** Enough for a message or a request; what `before_takeover` takes is added to the outage. */
  deadlineS: 10,
  /** The agents' relog asks agentd about each agent in turn, right after agentd has started. */
  agentsRelogDeadlineS: 60,
  /** Nobody waits for it: longer than a mail server or a name server that does not answer takes. */
  alertDeadlineS: 30,
} as const;

/** `[fencing]` (docs/design/fencing.md has the reasons). */
export const FENCING_DEFAULTS = {
  /** Who configures fencing wants a proof, not a wish. */
  mode: "required",
  /** A host that comes back into the same partition would switch off the one that serves. */
  action: "off",
  /** A BMC needs 2 to 20 s; its first answer after months may need as much again. */
  deadline: "60s",
} as const;

/** `[replication.ssh]`. */
export const TRANSPORT_DEFAULTS = {
  /** The receiver installs the astdb, files and a database: root, behind a forced command. */
  user: "root",
  port: 22,
  identityFile: "/etc/relais/ssh/id_ed25519",
  knownHostsFile: "/etc/relais/ssh/known_hosts",
  /** A fifth of the bytes of a database for a quarter of a core (docs/configuration.md). */
  compression: "zstd",
} as const;

/** `[replication.*]`: what is lost at a takeover is at most one period (plus the copy's duration). */
export const REPLICATION_DEFAULTS = {
  astdbEvery: "2m",
  astdbOnChange: true,
  databaseEvery: "1h",
  /** With a stream, whole copies only heal what the stream can't carry. */
  databaseEveryWithStream: "1d",
  databaseMode: "copy",
  synchronous: false,
  /** A commit of cel is not seen by a caller, one of a transfer is: three seconds are still one call. */
  synchronousPatience: "3s",
  /** Opens the local socket by peer authentication. */
  databaseOsUser: "postgres",
  databaseOnChange: true,
  databaseDelta: true,
  /** How often `config` proves that nothing changed; its changes are seen within some ten seconds. */
  configEvery: "1m",
  hotEvery: "1m",
  /** Bytes per second, before compression: at this pace the PBX is as fast as without a copy. */
  databasePace: 20_000_000,
  databaseReturn: "none",
  databaseOnReturnFailure: "wait",
  filesEvery: "1h",
  filesOnChange: true,
  /** Copies that must have failed, one after the other, before the age of the last good one is an alarm. */
  maxAgePeriods: 3,
  /** No alarm earlier than this, however often a set is copied: a restart of the peer takes minutes. */
  maxAgeLeast: "10m",
  verifyEvery: "7d",
} as const;
