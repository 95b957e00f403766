/**
 * The configuration file of a cluster in the lab, in the form of DESIGN section 12.
 *
 * @module
 */

import { address4, address6, HOST_NUMBERS, VIP_NUMBER } from "./lab.ts";
import { PBX_COMMANDS } from "./pbx.ts";
import { XIVO_LOCAL_TABLES } from "./xivo_database.ts";

/** What may differ from the demo's configuration. */
export interface ConfigOptions {
  /** Networks of the lab, in its order; default voip and data. */
  readonly networks?: readonly string[];
  /** Default true. */
  readonly vips?: boolean;
  /** Also a network over IPv6 on the first network's cables, with its own VIP; default false. */
  readonly ipv6?: boolean;
  /** Lines of `[heartbeat]`; default `preset = "balanced"`. */
  readonly heartbeat?: readonly string[];
  /** Lines of `[failback]`; default auto, stable for 2 s. */
  readonly failback?: readonly string[];
  /** Lines of `[hooks]`; default none. */
  readonly hooks?: readonly string[];
  /** Lines of `[fencing]` and its tables, with their headers; default none. */
  readonly fencing?: readonly string[];
  /** Lines of `[services]`; default: the test PBX with a SIP check each 500 ms. */
  readonly services?: readonly string[];
  /** Copy the database; default false. */
  readonly database?: boolean;
  /** Further lines of `[replication.database]`; default none. */
  readonly databaseMore?: readonly string[];
  /** Lines of `[arbiter]`; default none. */
  readonly arbiter?: readonly string[];
  /** Copy the astdb and the files; default true. */
  readonly data?: boolean;
}

/** Declared for `[replication.files]`. */
export const FILE_PATHS = ["/etc/xivo/asterisk", "/var/lib/xivo/sounds"] as const;
/** What comes back to the master at a hand-back. */
export const RETURN_PATH = "/var/spool/asterisk/voicemail";
/** The VIP of the IPv6 network. */
export const VIP6 = address6(0, VIP_NUMBER);

/** The text of `/etc/relais/relais.toml`. */
export function relaisToml(options: ConfigOptions = {}): string {
  const networks = options.networks ?? ["voip", "data"];
  const vips = options.vips ?? true;
  const sections = [
    ["[cluster]", 'name = "demo"', 'preset = "none"'],
    ...networks.map((name, i) => networkLines(name, { number: i, vips })),
    ...(options.ipv6 === true ? [network6Lines(networks[0] ?? "voip", vips)] : []),
    ["[heartbeat]", ...(options.heartbeat ?? ['preset = "balanced"'])],
    ["[services]", ...(options.services ?? pbxLines())],
    ["[failback]", ...(options.failback ?? ['mode = "auto"', "stable_s = 2"])],
    ...(options.hooks === undefined ? [] : [["[hooks]", ...options.hooks]]),
    ...(options.fencing === undefined ? [] : [options.fencing]),
    ...(options.arbiter === undefined ? [] : [["[arbiter]", ...options.arbiter]]),
    ...(options.data === false ? [] : dataSections()),
    ...(options.database === true ? [[...databaseLines(), ...(options.databaseMore ?? [])]] : []),
  ];
  return sections.map((lines) => lines.join("\n") + "\n").join("\n");
}

function networkLines(
  name: string,
  { number, vips }: { readonly number: number; readonly vips: boolean },
): string[] {
  const gateway = address4(number, HOST_NUMBERS.gateway);
  const subnet = `${address4(number, 0)}/24`;
  return [
    "[[networks]]",
    `name = "${name}"`,
    `master = "${address4(number, HOST_NUMBERS.master)}"`,
    `slave = "${address4(number, HOST_NUMBERS.slave)}"`,
    "prefix = 24",
    ...(vips ? [`vip = "${address4(number, VIP_NUMBER)}"`] : []),
    ...(vips && number === 0
      ? [`routes = [{ to = "${subnet}" }, { to = "default", via = "${gateway}" }]`]
      : []),
    `witnesses = ["${gateway}"]`,
  ];
}

function network6Lines(name: string, vips: boolean): string[] {
  return [
    "[[networks]]",
    `name = "${name}6"`,
    `master = "${address6(0, HOST_NUMBERS.master)}"`,
    `slave = "${address6(0, HOST_NUMBERS.slave)}"`,
    "prefix = 64",
    ...(vips ? [`vip = "${VIP6}"`] : []),
    `witnesses = ["${address6(0, HOST_NUMBERS.gateway)}"]`,
  ];
}

/** Lines of `[services]` for the test PBX. */
export function pbxLines(): string[] {
  return [
    'driver = "command"',
    ...Object.entries(PBX_COMMANDS).map(([verb, argv]) => `${verb} = ${JSON.stringify(argv)}`),
    "start_deadline_s = 60",
    "stop_deadline_s = 30",
    'health = { sip = "udp:127.0.0.1:5060", rise = 2, fall = 3, interval_ms = 500 }',
  ];
}

function databaseLines(): string[] {
  return [
    "[replication.database]",
    'url = "postgresql:///asterisk"',
    'every = "1h"',
    `local_tables = ${JSON.stringify(XIVO_LOCAL_TABLES)}`,
    'exclude_table_data = ["call_log*", "cel", "queue_log"]',
  ];
}

function dataSections(): string[][] {
  return [
    [
      "[replication.astdb]",
      'path = "/var/lib/asterisk/astdb.sqlite3"',
      'every = "2m"',
      "on_change = true",
    ],
    [
      "[replication.files]",
      'every = "1h"',
      `paths = ${JSON.stringify(FILE_PATHS)}`,
      `return_paths = ${JSON.stringify([RETURN_PATH])}`,
    ],
  ];
}
