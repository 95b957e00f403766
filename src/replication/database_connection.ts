/**
 * Where the database is: taken from the `url` of `[replication.database]`. Only the local socket with
 * peer authentication is used: nothing of PostgreSQL has to be opened on the network, no password is
 * kept.
 *
 * @module
 */

import type { DatabaseConfig } from "../config/types.ts";

/** Debian's socket directory; libpq's own default there. */
const DEFAULT_SOCKET_DIR = "/var/run/postgresql";
const DEFAULT_PORT = 5432;

/** The local cluster and the database in it. */
export interface DatabaseAddress {
  /** Directory of the socket `.s.PGSQL.<port>`. */
  readonly socketDir: string;
  readonly port: number;
  /** PostgreSQL role; with peer authentication the name of the system user. */
  readonly role: string;
  /** The live database. */
  readonly database: string;
}

/** Where the configured database is. */
export function databaseAddress(config: DatabaseConfig): DatabaseAddress {
  return {
    socketDir: config.socketDir ?? DEFAULT_SOCKET_DIR,
    port: config.port ?? DEFAULT_PORT,
    role: config.osUser,
    database: config.name,
  };
}

/** Environment of the PostgreSQL tools: nothing of the daemon's own environment gets in. */
export function toolEnvironment(
  options: {
    readonly address: DatabaseAddress;
    readonly appName: string;
    readonly pgOptions: string;
  },
): Record<string, string> {
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    LC_ALL: "C.UTF-8",
    PGHOST: options.address.socketDir,
    PGPORT: String(options.address.port),
    PGUSER: options.address.role,
    PGAPPNAME: options.appName,
    PGOPTIONS: options.pgOptions,
    PGCONNECT_TIMEOUT: "10",
  };
}

/** A database name as a connection string: libpq would read `a=b` or `postgres://…` as one otherwise. */
export function conninfo(database: string): string {
  return `dbname='${database.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** Quotes an identifier for SQL. */
export function quoteIdent(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes a text for SQL, whatever `standard_conforming_strings` is. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll("\\", "\\\\")}'`;
  return text.includes("\\") ? `E${quoted}` : quoted;
}
