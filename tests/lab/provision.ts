/**
 * From two fresh Debian hosts to a small PBX with relais.
 *
 * @module
 */

import { createHash } from "node:crypto";
import {
  type ConfigOptions,
  FILE_PATHS,
  relaisToml,
  RETURN_PATH,
} from "../support/relais_config.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import { createXivoDatabase } from "../support/xivo_database.ts";
import type { LabHost } from "./lab_host.ts";
import { type Laboratory, type LaboratoryOptions, ROOT_PASSWORD } from "./laboratory.ts";
import { untilState, waitForStatus } from "./relais_status.ts";
import { configureAsterisk } from "./telephony.ts";

/** What `make repo` makes: a signed flat archive with the package. */
export const REPOSITORY_FOLDER = `${REPOSITORY}/dist/repo`;
/** Where it lies on the hosts. */
const HOST_REPOSITORY = "/srv/relais-repo";
/** Where the configuration lies on the hosts. */
export const CONFIG_FILE = "/etc/relais/relais.toml";
const ASKPASS = "/root/askpass";
const INSTALL_DEADLINE_MS = 180_000;
const PAIR_OPTIONS = { deadlineMs: 120_000 };
/** A master that boots asks its peer, starts Asterisk, checks it. */
const NORMAL_DEADLINE_MS = 120_000;

/** `[services]` for the laboratory's Asterisk. */
export const ASTERISK_LINES: readonly string[] = [
  'driver = "systemd"',
  'units = ["asterisk.service"]',
  "start_deadline_s = 60",
  "stop_deadline_s = 30",
  'health = { sip = "udp:127.0.0.1:5060", rise = 2, fall = 3, interval_ms = 500 }',
];

/** The configuration of both hosts: preset `none`, Asterisk, both networks with VIPs, all data sets. */
export function labToml(options: ConfigOptions = {}): string {
  return relaisToml({ services: ASTERISK_LINES, database: true, ...options });
}

/** What a PBX has before relais comes: Asterisk with two phones, the database, files; on both hosts. */
export async function preparePbx(laboratory: Laboratory): Promise<void> {
  await configureAsterisk(laboratory);
  const { master, slave } = laboratory;
  await createXivoDatabase((database, script) => sql(master, database, script), {
    address: laboratory.address("master"),
  });
  // The slave's was installed with it, too, and has its own host's tables.
  await createXivoDatabase((database, script) => sql(slave, database, script), {
    address: laboratory.address("slave"),
    users: 50,
    rows: 1,
  });
  for (const host of laboratory.hosts) {
    await host.exec(["mkdir", "-p", ...FILE_PATHS, RETURN_PATH]);
    await host.exec(["chown", "asterisk:asterisk", RETURN_PATH]);
  }
  await master.writeFile(`${FILE_PATHS[0]}/queues.conf`, "; of the master\n");
  await master.writeFile(`${FILE_PATHS[1]}/hello.txt`, "hello\n");
}

/** Runs an SQL script as PostgreSQL's superuser; returns the values without alignment. */
export async function sql(host: LabHost, database: string, script: string): Promise<string> {
  const psql = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"];
  const argv = ["runuser", "-u", "postgres", "--", ...psql];
  return await host.read(argv, { stdin: script, deadlineMs: INSTALL_DEADLINE_MS });
}

/**
 * Installs relais as an administrator does: the archive's key, one line for apt, `apt-get install relais`.
 * An archive that is already there is replaced: the next `apt-get upgrade` finds the newer package.
 *
 * @throws {Error} when `make repo` has not been run
 */
export async function installRelais(host: LabHost, folder = REPOSITORY_FOLDER): Promise<void> {
  await offerRelais(host, folder);
  await host.exec(["apt-get", "install", "-y", "relais"], { deadlineMs: INSTALL_DEADLINE_MS });
}

/** Puts the archive of `make repo` (or another folder) on a host and makes apt read it. */
export async function offerRelais(host: LabHost, folder = REPOSITORY_FOLDER): Promise<void> {
  const key = archiveKey(folder);
  await host.push(folder, HOST_REPOSITORY);
  await host.writeFile(
    "/etc/apt/sources.list.d/relais.list",
    `deb [signed-by=${HOST_REPOSITORY}/${key}] file:${HOST_REPOSITORY} ./\n`,
  );
  await host.exec(["apt-get", "update"], { deadlineMs: INSTALL_DEADLINE_MS });
}

/** The public key beside the packages: `….gpg` (binary) or `….asc`. */
function archiveKey(folder: string): string {
  let names: string[] = [];
  try {
    names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const key = names.find((name) => /\.(gpg|asc)$/.test(name) && name !== "Release.gpg");
  if (key !== undefined) return key;
  throw new Error(`Cannot install relais as ${folder} has no archive with its key: run: make repo`);
}

/**
 * From two fresh hosts to a pair that serves: PBX, package, configuration on the master, `relais pair`
 * (which brings it to the slave), restart; then the master is active and the slave stands by.
 */
export async function provision(laboratory: Laboratory): Promise<void> {
  const { master, slave, hosts } = laboratory;
  await preparePbx(laboratory);
  await Promise.all(hosts.map((host) => installRelais(host)));
  await master.writeFile(CONFIG_FILE, labToml());
  await master.exec(["sync", CONFIG_FILE]); // As `relais init` does; an editor, too.
  await pairHosts(master);
  for (const host of [slave, master]) await host.exec(["systemctl", "restart", "relais"]);
  await untilNormal(laboratory);
}

/** `relais pair` on the master, with the slave's root password by ssh's askpass, as no terminal is there. */
export async function pairHosts(master: LabHost): Promise<void> {
  await askpassEnvironment(
    master,
    (env) => master.exec(["env", ...env, "relais", "pair", "--yes"], PAIR_OPTIONS),
  );
}

/** Lets ssh on a host find the other's root password where no terminal is; `work` gets the variables. */
export async function askpassEnvironment(
  host: LabHost,
  work: (env: readonly string[]) => Promise<unknown>,
): Promise<void> {
  await host.writeFile(ASKPASS, `#!/bin/sh\necho ${ROOT_PASSWORD}\n`, { mode: "700" });
  await work([`SSH_ASKPASS=${ASKPASS}`, "SSH_ASKPASS_REQUIRE=force"]);
  await host.exec(["rm", ASKPASS]);
}

/** Waits until the master serves and the slave stands by and could take over. */
export async function untilNormal({ master, slave }: Laboratory): Promise<void> {
  await untilState(master, "active", NORMAL_DEADLINE_MS);
  await waitForStatus(slave, ({ ready, peer }) => ready && peer.verdict === "alive", {
    deadlineMs: NORMAL_DEADLINE_MS,
    what: "a slave that stands by",
  });
  await waitForStatus(master, ({ peer }) => peer.report?.ready === true, {
    deadlineMs: NORMAL_DEADLINE_MS,
    what: "a master that knows it",
  });
}

/** Disks with a pair that serves, for {@linkcode story}; made anew when the package or the recipe changed. */
export function provisioned(): NonNullable<LaboratoryOptions["from"]> {
  const hash = createHash("sha256");
  const recipe = ["provision.ts", "telephony.ts"].map((name) => `${REPOSITORY}/tests/lab/${name}`);
  for (const file of [`${REPOSITORY_FOLDER}/Packages`, ...recipe]) {
    hash.update(Deno.readFileSync(file));
  }
  hash.update(labToml());
  return { name: `relais-${hash.digest("hex").slice(0, 12)}`, make: provision };
}
