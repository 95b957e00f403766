/**
 * Gives a database what belongs to the database and not to what is in it (owner excepted: CREATE DATABASE
 * sets it): settings, privileges, connection limit, comment. Part of the database worker.
 *
 * @module
 */

import type { Query } from "./database_catalog.ts";
import { scalar } from "./database_catalog.ts";
import { quoteIdent, quoteLiteral } from "./database_connection.ts";
import type { DatabaseProperties } from "./database_manifest.ts";

/**
 * Settings whose value is a list of quoted names (GUC_LIST_QUOTE in PostgreSQL's guc.c, the same list as
 * `variable_is_guc_list_quote` of pg_dump): as one literal they would become one strange name.
 */
const LIST_SETTINGS: ReadonlySet<string> = new Set([
  "local_preload_libraries",
  "search_path",
  "session_preload_libraries",
  "shared_preload_libraries",
  "temp_tablespaces",
  "unix_socket_directories",
]);

/** Applies `properties` to a database that was just made. */
export async function applyProperties(
  query: Query,
  options: { readonly name: string; readonly properties: DatabaseProperties },
): Promise<void> {
  const { properties } = options;
  const database = quoteIdent(options.name);
  for (const { role, config } of properties.settings) {
    const subject = role === null
      ? `DATABASE ${database}`
      : `ROLE ${quoteIdent(role)} IN DATABASE ${database}`;
    for (const entry of config) await applySetting(query, subject, entry);
  }
  if (properties.grants !== null) {
    await query(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC, ${quoteIdent(properties.owner)}`);
    for (const { grantee, privilege, grantable } of properties.grants) {
      const to = grantee === null ? "PUBLIC" : quoteIdent(grantee);
      const option = grantable ? " WITH GRANT OPTION" : "";
      await query(`GRANT ${privilege} ON DATABASE ${database} TO ${to}${option}`);
    }
  }
  if (properties.comment !== null) {
    await query(`COMMENT ON DATABASE ${database} IS ${quoteLiteral(properties.comment)}`);
  }
  await query(`ALTER DATABASE ${database} CONNECTION LIMIT ${properties.connectionLimit}`);
}

async function applySetting(query: Query, subject: string, entry: string): Promise<void> {
  const equals = entry.indexOf("=");
  const setting = entry.slice(0, equals);
  const value = entry.slice(equals + 1);
  const name = setting.split(".").map(quoteIdent).join(".");
  if (!LIST_SETTINGS.has(setting)) {
    await query(`ALTER ${subject} SET ${name} TO ${quoteLiteral(value)}`);
    return;
  }
  const before = String(await scalar(query, `SELECT current_setting(${quoteLiteral(setting)})`));
  await query(`SELECT set_config(${quoteLiteral(setting)}, ${quoteLiteral(value)}, false)`);
  await query(`ALTER ${subject} SET ${name} FROM CURRENT`);
  await query(`SELECT set_config(${quoteLiteral(setting)}, ${quoteLiteral(before)}, false)`);
}
