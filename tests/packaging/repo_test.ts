/**
 * The repository, as a real apt-get reads it, in a root of its own: nothing of this machine is touched.
 *
 * @module
 */

import assert from "node:assert/strict";
import { tool } from "./support.ts";

/** An apt that knows only the repository at `url`, signed by `keyring`; everything of it is below `root`. */
function makeApt(
  root: string,
  url: string,
  keyring: string,
): (...args: string[]) => ReturnType<typeof tool> {
  for (const folder of ["etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/apt.conf.d"]) {
    Deno.mkdirSync(`${root}/${folder}`, { recursive: true });
  }
  for (
    const folder of ["var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg"]
  ) {
    Deno.mkdirSync(`${root}/${folder}`, { recursive: true });
  }
  Deno.writeTextFileSync(`${root}/var/lib/dpkg/status`, "");
  Deno.writeTextFileSync(`${root}/etc/apt/sources.list`, `deb [signed-by=${keyring}] ${url} ./\n`);
  const options = [
    `Dir=${root}`,
    `Dir::State::status=${root}/var/lib/dpkg/status`,
    "APT::Sandbox::User=root",
    "Acquire::Languages=none",
  ].flatMap((option) => ["-o", option]);
  return (...args) => tool(["apt-get", ...options, ...args], { APT_CONFIG: "/dev/null" });
}

/** A copy of the repository: apt must find the package in it, and a test may damage it. */
async function withRepo(work: (repo: string, root: string) => Promise<void>): Promise<void> {
  const root = Deno.makeTempDirSync({ prefix: "relais-repo-" });
  try {
    const copied = await tool(["cp", "-r", "dist/repo", `${root}/repo`]);
    assert.equal(copied.code, 0, `${copied.stderr} (make repo)`);
    await work(`${root}/repo`, root);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

Deno.test("apt-get believes the repository by its keyring and fetches the package", async () => {
  await withRepo(async (repo, root) => {
    const apt = makeApt(`${root}/apt`, `file:${repo}`, `${repo}/relais-archive-keyring.gpg`);
    const updated = await apt("update", "--error-on=any");
    assert.equal(updated.code, 0, updated.stdout + updated.stderr);
    const printed = await apt("--print-uris", "download", "relais");
    assert.equal(printed.code, 0, printed.stderr);
    assert.match(printed.stdout, /relais_.*\.deb' relais_\S+ \d+ SHA\d+:/);
  });
});

Deno.test("apt-get refuses a repository whose list was changed after it was signed", async () => {
  await withRepo(async (repo, root) => {
    Deno.writeTextFileSync(`${repo}/Packages`, "Package: evil\n", { append: true });
    Deno.removeSync(`${repo}/Packages.gz`);
    const apt = makeApt(`${root}/apt`, `file:${repo}`, `${repo}/relais-archive-keyring.gpg`);
    assert.notEqual((await apt("update", "--error-on=any")).code, 0);
  });
});

Deno.test("apt-get refuses the repository with a keyring of somebody else", async () => {
  await withRepo(async (repo, root) => {
    Deno.writeTextFileSync(`${root}/empty.gpg`, "");
    const apt = makeApt(`${root}/apt`, `file:${repo}`, `${root}/empty.gpg`);
    assert.notEqual((await apt("update", "--error-on=any")).code, 0);
  });
});

Deno.test("the second run makes the same repository, byte by byte", async () => {
  await withRepo(async (repo) => {
    const again = await tool(["packaging/toolchain/repo.sh"], { RELAIS_REPO_KEY: "" });
    assert.equal(again.code, 0, again.stderr);
    const compared = await tool(["diff", "-r", repo, "dist/repo"]);
    assert.equal(compared.code, 0, compared.stdout);
  });
});
