/**
 * What `cluster.preset` stands for: the services and data sets of a product. What the file says wins,
 * key by key. The unit lists follow the order in which the products' own service scripts start them;
 * PostgreSQL, RabbitMQ, Consul and nginx are not among them, since the standby needs its database to
 * receive copies.
 *
 * @module
 */

/** A product's services and data sets. */
export interface ProductPreset {
  /** In start order; those that are not installed on a host are skipped there. */
  readonly units: readonly string[];
  /** `udp:HOST:PORT` of the telephony check. */
  readonly sip: string;
  readonly astdbPath: string;
  readonly databaseUrl: string;
  /** Tables that describe the host itself (its interfaces, its name servers): never overwritten. */
  readonly localTables: readonly string[];
  /** History: large, and of no use for the next call (`pg_dump --exclude-table-data` patterns). */
  readonly excludeTableData: readonly string[];
  readonly paths: readonly string[];
  readonly excludes: readonly string[];
  readonly returnPaths: readonly string[];
}

/** `netiface` and the like of the product's own replication script, which never copies them either. */
const LOCAL_TABLES = ["dhcp", "mail", "monitoring", "netiface", "resolvconf"] as const;
const HISTORY = ["call_log*", "cel", "queue_log", "session", "stat_*"] as const;
const ASTDB = "/var/lib/asterisk/astdb.sqlite3";
/** Named by the product's rsync; voicemail is not: it comes back at hand-back (return_paths). */
const COMMON_PATHS = [
  "/etc/asterisk/extensions_extra.d",
  "/etc/xivo/asterisk",
  "/var/lib/asterisk/agi-bin",
  "/var/lib/asterisk/moh",
] as const;
/** Under the sounds directory: recordings of that host, written while it serves. */
const SOUND_EXCLUDES = ["monitor", "recording"] as const;

/** Each preset of `cluster.preset`; `none` stands for nothing. */
export const PRODUCT_PRESETS = {
  none: null,
  xivo: {
    units: [
      "dahdi.service",
      "xivo-confgend.service",
      "xivo-confd.service",
      "xivo-auth.service",
      "xivo-dxtora.service",
      "xivo-provd.service",
      "xivo-agid.service",
      "asterisk.service",
      "xivo-amid.service",
      "xivo-call-logd.service",
      "xivo-call-logs.service",
      "xivo-agentd.service",
      "xivo-ctid.service",
      "xivo-dird.service",
      "xivo-dird-phoned.service",
      "xivo-ctid-ng.service",
      "xivo-websocketd.service",
      "monit.service",
    ],
    sip: "udp:127.0.0.1:5060",
    astdbPath: ASTDB,
    databaseUrl: "postgresql:///asterisk",
    localTables: LOCAL_TABLES,
    excludeTableData: HISTORY,
    paths: [...COMMON_PATHS, "/var/lib/xivo/sounds"],
    excludes: SOUND_EXCLUDES,
    returnPaths: ["/var/spool/asterisk/voicemail"],
  },
  wazo: {
    units: [
      "dahdi.service",
      "wazo-plugind.service",
      "wazo-webhookd.service",
      "wazo-confgend.service",
      "wazo-confd.service",
      "wazo-auth.service",
      "wazo-dxtora.service",
      "wazo-provd.service",
      "wazo-agid.service",
      "asterisk.service",
      "wazo-amid.service",
      "wazo-call-logd.service",
      "wazo-agentd.service",
      "wazo-dird.service",
      "wazo-phoned.service",
      "wazo-calld.service",
      "wazo-websocketd.service",
      "wazo-chatd.service",
      "monit.service",
    ],
    sip: "udp:127.0.0.1:5060",
    astdbPath: ASTDB,
    databaseUrl: "postgresql:///asterisk",
    localTables: LOCAL_TABLES,
    excludeTableData: HISTORY,
    paths: [...COMMON_PATHS, "/var/lib/wazo/sounds"],
    excludes: SOUND_EXCLUDES,
    returnPaths: ["/var/spool/asterisk/voicemail"],
  },
} as const satisfies Record<"xivo" | "wazo" | "none", ProductPreset | null>;
