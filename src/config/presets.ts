/**
 * What `cluster.preset` stands for: the services and data sets of a product. What the file says wins,
 * key by key. Sources, read in public: `xivo-manage-slave-services`, `xivo-master-slave-db-replication`
 * (github.com/wazo-platform/xivo-config), `wazo-service` and `xivo-service` (…/wazo-service),
 * `wazo-sync` and `xivo-sync` (…/wazo-sync), and the products' manuals on high availability.
 *
 * The lists hold the names of several versions of a product: what a host does not have is skipped there.
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
  /** Those that a host does not have are skipped there. */
  readonly paths: readonly string[];
  readonly excludes: readonly string[];
  readonly returnPaths: readonly string[];
  /** Hooks of every takeover: without them the services would start upon what is no longer true. */
  readonly beforeTakeover: readonly (readonly string[])[];
  /** `hooks.presets = ["agents-relog"]`: after a takeover, as the product's own script does. */
  readonly agentsRelog: readonly string[];
  /** `hooks.presets = ["dhcp"]`: one more unit. */
  readonly dhcpUnit: string;
}

/*
 * Units: the group "default" of the product's service script in its order, monit last (it would start
 * again what is being stopped). The script itself leaves the first ones (dahdi, plugind, webhookd,
 * confgend, confd, auth) running on its slave. Here they stop with the rest: they read the database,
 * which is replaced under them at each copy (the script restarts auth at each takeover for that reason);
 * started then, they read the newest copy. And nobody can change a configuration there that the next copy
 * takes away.
 *
 * Not among them:
 * - postgresql: receives the copies, so it runs on both hosts;
 * - rabbitmq-server, consul, nginx: only in the group "all" of the script, which does not stop them on its
 *   slave either: what the services start upon is up already when they are started in a hurry;
 * - xivo-sysconfd, wazo-sysconfd: configure the host they are on (network, name servers).
 */
const XIVO_UNITS = [
  "dahdi.service",
  // From here to call-logd also under the names of the versions between XiVO and Wazo (2017, 2018).
  "wazo-plugind.service",
  "wazo-webhookd.service",
  "xivo-confgend.service",
  "xivo-confd.service",
  "xivo-auth.service",
  "wazo-auth.service",
  "xivo-dxtora.service",
  "xivo-provd.service",
  "xivo-agid.service",
  "asterisk.service",
  "xivo-amid.service",
  "xivo-call-logs.service",
  "xivo-call-logd.service",
  "wazo-call-logd.service",
  "xivo-agentd.service",
  "xivo-ctid.service",
  "xivo-dird.service",
  "xivo-dird-phoned.service",
  "xivo-ctid-ng.service",
  "xivo-websocketd.service",
  "monit.service",
] as const;

/*
 * dird and chatd stand where the script of 2020 had them (behind Asterisk), not where that of 2023 has
 * them (in front of provd): phones get their dial tone back before their directory.
 */
const WAZO_UNITS = [
  "dahdi.service", // gone from the script by 2023
  "wazo-plugind.service",
  "wazo-webhookd.service",
  "wazo-confgend.service",
  "wazo-confd.service",
  "wazo-auth.service",
  "wazo-dxtora.service", // the same
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
] as const;

/** `netiface` and the like of the product's own replication script, which never copies them either. */
const LOCAL_TABLES = ["dhcp", "mail", "monitoring", "netiface", "resolvconf"] as const;
/** What the same script leaves out beside them; `session` are logins of the web interface. */
const HISTORY = ["call_log*", "cel", "queue_log", "session", "stat_*"] as const;
const ASTDB = "/var/lib/asterisk/astdb.sqlite3";
/**
 * Named by the product's rsync script, and voicemail, which that script leaves out: on the stand-in a user
 * hears the messages of before. What is left there comes back at the hand-back (return_paths), and a copy
 * never deletes what could not (docs/design/data.md, "The way back of files"). Recordings are not copied:
 * they are large, and of no use for the next call.
 */
const COMMON_PATHS = [
  "/etc/asterisk/extensions_extra.d",
  "/etc/xivo/asterisk",
  "/var/lib/asterisk/agi-bin",
  "/var/lib/asterisk/moh",
  "/var/spool/asterisk/voicemail",
] as const;
const RETURN_PATHS = ["/var/spool/asterisk/voicemail"] as const;
/** Under the sounds: `monitor`, `recordings`, `recordings-meetme` are of the host that recorded them. */
const XIVO_SOUND_EXCLUDES = ["/monitor*/", "/recording*/"] as const;
/** The same for each tenant. */
const WAZO_SOUND_EXCLUDES = [
  ...XIVO_SOUND_EXCLUDES,
  "/tenants/*/monitor*/",
  "/tenants/*/recording*/",
] as const;

/*
 * Asterisk asks confgend for a cached pjsip.conf. On a stand-in that file is of its last takeover: phones
 * and users made since would not exist. The product's script says `--invalidate` to a confgend that runs;
 * its manual on restoring a database removes the files, which needs none. Both names confgend has had.
 */
const FORGET_CACHED_PJSIP = [
  "rm",
  "-f",
  "--",
  "/var/cache/wazo-confgend/asterisk/pjsip.conf",
  "/var/cache/xivo-confgend/asterisk/pjsip.conf",
] as const;

const COMMON = {
  sip: "udp:127.0.0.1:5060",
  astdbPath: ASTDB,
  databaseUrl: "postgresql:///asterisk",
  localTables: LOCAL_TABLES,
  excludeTableData: HISTORY,
  returnPaths: RETURN_PATHS,
  dhcpUnit: "isc-dhcp-server.service",
} as const;

/** Each preset of `cluster.preset`; `none` stands for nothing. */
export const PRODUCT_PRESETS = {
  none: null,
  xivo: {
    ...COMMON,
    units: XIVO_UNITS,
    paths: [...COMMON_PATHS, "/var/lib/xivo/certificates", "/var/lib/xivo/sounds"],
    excludes: XIVO_SOUND_EXCLUDES,
    beforeTakeover: [],
    agentsRelog: ["xivo-agentd-cli", "-c", "relog all"],
  },
  wazo: {
    ...COMMON,
    units: WAZO_UNITS,
    paths: [
      ...COMMON_PATHS,
      "/var/lib/wazo/sounds",
      // Passwords of the services: they must be those of the copied database.
      "/root/.config/wazo-auth-cli",
      "/var/lib/wazo-auth-keys",
    ],
    excludes: WAZO_SOUND_EXCLUDES,
    beforeTakeover: [FORGET_CACHED_PJSIP],
    agentsRelog: ["wazo-agentd-cli", "-c", "relog all"],
  },
} as const satisfies Record<"xivo" | "wazo" | "none", ProductPreset | null>;
