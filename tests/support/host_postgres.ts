/**
 * A real PostgreSQL server on a test host, as Debian would have it: data in /var/lib/postgresql, socket in
 * /var/run/postgresql, peer authentication only, run by the user `postgres`.
 *
 * @module
 */

import type { TestHost } from "./host.ts";
import { poll } from "./poll.ts";

const DATA = "/var/lib/postgresql/main";
const SOCKETS = "/var/run/postgresql";
const LOG = "/var/log/postgresql.log";
const DEADLINE_MS = 60_000;

/** Runs a command as the system user `postgres`. */
const AS_POSTGRES = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"];

/** Small, and without a port on the network. */
const SETTINGS = `
listen_addresses = ''
unix_socket_directories = '${SOCKETS}'
shared_buffers = 16MB
max_connections = 40
logging_collector = off
`;

/** Folder of the newest server programs that are installed on the machine. */
export function postgresPrograms(): string {
  const versions: number[] = [];
  try {
    for (const { name } of Deno.readDirSync("/usr/lib/postgresql")) versions.push(Number(name));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const newest = Math.max(...versions.filter(Number.isFinite));
  if (!Number.isFinite(newest)) {
    throw new Error("Cannot find PostgreSQL as it is not installed: run: apt install postgresql");
  }
  return `/usr/lib/postgresql/${newest}/bin`;
}

/** Makes a cluster on the host's disk, once; each host's has a system identifier of its own. */
export async function createPostgres(host: TestHost): Promise<void> {
  const initdb = `${postgresPrograms()}/initdb`;
  const auth = ["--auth-local=peer", "--auth-host=scram-sha-256"];
  const locale = ["--locale=C.UTF-8", "--encoding=UTF8"];
  await host.exec([...AS_POSTGRES, initdb, "-D", DATA, ...auth, ...locale, "--no-sync"], {
    deadlineMs: DEADLINE_MS,
  });
  const settings = await host.readFile(`${DATA}/postgresql.conf`);
  await host.writeFile(`${DATA}/postgresql.conf`, settings + SETTINGS, 0o600);
  await host.writeFile(LOG, "", 0o666);
}

/** Starts the server, as the host's boot would; returns when it takes connections. */
export async function startPostgres(host: TestHost): Promise<void> {
  const postgres = `${postgresPrograms()}/postgres`;
  // After a power cut the old pid file names a process that is not there: the server copes.
  host.spawn([...AS_POSTGRES, postgres, "-D", DATA], { logFile: LOG });
  await poll(
    async () => (await host.try([...AS_POSTGRES, "psql", "-XAtc", "select 1"])).code === 0,
    {
      deadlineMs: DEADLINE_MS,
      everyMs: 50,
      what: `PostgreSQL on ${host.name}`,
      instead: () => host.readFile(LOG),
    },
  );
}

/**
 * Runs SQL as `postgres`; returns the rows as `psql -At` prints them.
 *
 * @throws {ToolFailedError} when a statement fails
 */
export async function sql(
  host: TestHost,
  options: { readonly database?: string; readonly text: string },
): Promise<string> {
  const { database = "postgres", text } = options;
  const psql = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"];
  const { stdout } = await host.exec([...AS_POSTGRES, ...psql], {
    stdin: text,
    deadlineMs: DEADLINE_MS,
  });
  return stdout.trim();
}
