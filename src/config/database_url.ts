/**
 * The URL of the local database: `postgresql:///NAME[?host=/DIR][&port=N]`, the part of libpq's URLs
 * (PostgreSQL manual, section 34.1.1.2) that means "on this host, through its socket".
 *
 * @module
 */

import { BOUNDS } from "./defaults.ts";
import { isPlainPath } from "./fields.ts";

/** What the URL says. */
export interface DatabasePlace {
  readonly name: string;
  /** Directory of the socket; null: libpq's default. */
  readonly socketDir: string | null;
  /** Port of the socket; null: libpq's default. */
  readonly port: number | null;
}

/** Databases that the server itself needs: a copy must never replace them. */
const SERVER_OWN = new Set(["postgres", "template0", "template1"]);

/** Takes the URL apart, or says which rule it breaks. */
export function parseDatabaseUrl(url: string): DatabasePlace | { readonly error: string } {
  const match = /^postgres(?:ql)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url);
  if (match === null) return { error: 'must be a URL such as "postgresql:///asterisk"' };
  const [, authority = "", name = "", query = ""] = match;
  if (authority.includes("@")) {
    return { error: "must not name a user or password: os_user opens the local socket" };
  }
  if (authority !== "") {
    return {
      error:
        "must not name a host: each host copies its own database through the local socket, so " +
        "that nothing of PostgreSQL is open on the network (socket directory: ?host=/DIR)",
    };
  }
  // 50: relais adds _new and _old, and PostgreSQL cuts names at 63 bytes.
  if (!/^[A-Za-z_][A-Za-z0-9_$-]{0,49}$/.test(name)) {
    return { error: "must end in the name of a database, 1 to 50 of letters, digits, _, $ and -" };
  }
  if (SERVER_OWN.has(name)) return { error: `must not be the server's own database ${name}` };
  return parseQuery(name, query);
}

function parseQuery(name: string, query: string): DatabasePlace | { readonly error: string } {
  const parameters = new URLSearchParams(query);
  for (const key of parameters.keys()) {
    if (key !== "host" && key !== "port") {
      return { error: "must have no other parameters than host and port" };
    }
    if (parameters.getAll(key).length > 1) return { error: `must have ${key} once only` };
  }
  const socketDir = parameters.get("host");
  if (socketDir !== null && !isPlainPath(socketDir)) {
    return {
      error:
        "must have the directory of a local socket as host (a host on the network is refused: " +
        "each host copies its own database)",
    };
  }
  const port = parameters.get("port");
  if (port !== null && (!/^[1-9][0-9]{0,4}$/.test(port) || Number(port) > BOUNDS.port.max)) {
    return { error: `must have a port from 1 to ${BOUNDS.port.max}` };
  }
  return { name, socketDir, port: port === null ? null : Number(port) };
}
