/**
 * PostgreSQL of another major version than the installed one, for tests: the packages of an older Debian
 * suite, fetched through apt from the mirror that this machine is set to, unpacked (not installed) into a
 * directory that is kept for the next run.
 *
 * @module
 */

import { run, runOk } from "../../src/os/process.ts";
import { REPOSITORY } from "./shown_paths.ts";

const SUITE = "bullseye";
const MAJOR = 13;
/** The server, its client, and those of its libraries that newer suites do not have. */
const PACKAGES = [
  "postgresql-13",
  "postgresql-client-13",
  "libicu67",
  "libldap-2.4-2",
  "libssl1.1",
];
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const DEADLINE_MS = 120_000;
const HOME = `${REPOSITORY}/dist/test-cache/postgresql-${MAJOR}`;

/** A second version, or why there is none. */
export type SecondPostgres =
  | { readonly major: number; readonly bin: string }
  | { readonly missing: string };

/** Gets it, or says why it can't be had here. */
export async function secondPostgres(): Promise<SecondPostgres> {
  const bin = `${HOME}/wrapped`;
  try {
    if (await Deno.stat(`${bin}/psql`).catch(() => null) === null) await fetchAndUnpack(bin);
    await runOk([`${bin}/postgres`, "--version"], { deadlineMs: DEADLINE_MS });
    return { major: MAJOR, bin };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { missing: `PostgreSQL ${MAJOR} cannot be had on this machine: ${why.slice(0, 300)}` };
  }
}

async function fetchAndUnpack(bin: string): Promise<void> {
  const mirror = await configuredMirror();
  const work = await Deno.makeTempDir({ prefix: "relais-apt-" });
  try {
    for (const folder of ["lists/partial", "cache/archives/partial", "debs"]) {
      await Deno.mkdir(`${work}/${folder}`, { recursive: true });
    }
    await Deno.writeTextFile(
      `${work}/sources.list`,
      `deb [signed-by=${KEYRING}] ${mirror} ${SUITE} main\n`,
    );
    await runOk(["chmod", "-R", "a+rwX", work], { deadlineMs: DEADLINE_MS });
    const options = [
      `Dir::Etc::sourcelist=${work}/sources.list`,
      "Dir::Etc::sourceparts=/dev/null",
      `Dir::State::lists=${work}/lists`,
      `Dir::Cache=${work}/cache`,
    ].flatMap((option) => ["-o", option]);
    await runOk(["apt-get", ...options, "-q", "update"], { deadlineMs: DEADLINE_MS });
    // It writes where it is started.
    const fetched = await new Deno.Command("apt-get", {
      args: [...options, "-q", "download", ...PACKAGES],
      cwd: `${work}/debs`,
      signal: AbortSignal.timeout(DEADLINE_MS),
    }).output();
    if (!fetched.success) throw new Error(new TextDecoder().decode(fetched.stderr));
    await Deno.mkdir(`${HOME}/root`, { recursive: true });
    for await (const { name } of Deno.readDir(`${work}/debs`)) {
      const argv = ["dpkg-deb", "-x", `${work}/debs/${name}`, `${HOME}/root`];
      await runOk(argv, { deadlineMs: DEADLINE_MS });
    }
    await wrap(bin);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Programs that find the unpacked libraries; PostgreSQL finds its own files by the place of its program. */
async function wrap(bin: string): Promise<void> {
  const real = `${HOME}/root/usr/lib/postgresql/${MAJOR}/bin`;
  const libraries = `${HOME}/root/usr/lib/${Deno.build.arch}-linux-gnu`;
  await Deno.mkdir(bin, { recursive: true });
  for await (const { name } of Deno.readDir(real)) {
    const script = `#!/bin/sh\nLD_LIBRARY_PATH='${libraries}' exec '${real}/${name}' "$@"\n`;
    await Deno.writeTextFile(`${bin}/${name}`, script);
    await Deno.chmod(`${bin}/${name}`, 0o755);
  }
}

/** Where this machine gets its Debian packages from. */
async function configuredMirror(): Promise<string> {
  const { stdout } = await run([
    ...["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)"],
    "Created-By: Packages",
  ], { deadlineMs: DEADLINE_MS });
  const codename = /^VERSION_CODENAME=(.*)$/m.exec(await Deno.readTextFile("/etc/os-release"))?.[1];
  const site = stdout.split("\n").map((line) => line.split(" "))
    .find(([url, name]) => url !== undefined && name === codename)?.[0];
  if (site === undefined) throw new Error("apt knows no mirror of its suite");
  return site;
}
