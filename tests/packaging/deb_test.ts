/**
 * The package, as dpkg and lintian see it, and its maintainer scripts in a root of their own.
 *
 * @module
 */

import assert from "node:assert/strict";
import { findPackage, tool } from "./support.ts";

Deno.test("lintian finds neither an error nor a warning in the package", async () => {
  const argv = ["lintian", "--fail-on", "error,warning", "--allow-root", await findPackage()];
  const { code, stdout, stderr } = await tool(argv);
  assert.equal(code, 0, stdout + stderr);
});

Deno.test("the package has the program, units, manual, completions, samples and documents", async () => {
  const { stdout } = await tool(["dpkg-deb", "--contents", await findPackage()]);
  const files = stdout.split("\n").map((line) => line.split(/\s+/)[5] ?? "");
  for (
    const file of [
      "usr/sbin/relais",
      "lib/systemd/system/relais.service",
      "lib/systemd/system/relais-cleanup.service",
      "usr/share/man/man8/relais.8.gz",
      "usr/share/man/man5/relais.toml.5.gz",
      "usr/share/bash-completion/completions/relais",
      "usr/share/zsh/vendor-completions/_relais",
      "usr/share/fish/vendor_completions.d/relais.fish",
      "usr/share/doc/relais/examples/relais.toml",
      "usr/share/doc/relais/copyright",
      "usr/share/doc/relais/changelog.gz",
      "usr/share/doc/relais/NEWS.Debian.gz",
      "usr/share/doc/relais/README.Debian",
    ]
  ) assert.ok(files.includes(`./${file}`), `${file} is in the package`);
  // The configuration is made on the host: no conffile with addresses of nobody.
  assert.deepEqual(files.filter((file) => file.startsWith("./etc/")), []);
});

Deno.test("the program in the package is whole: it was not stripped and says its version", async () => {
  const root = Deno.makeTempDirSync({ prefix: "relais-deb-" });
  try {
    const extracted = await tool(["dpkg-deb", "--extract", await findPackage(), root]);
    assert.equal(extracted.code, 0, extracted.stderr);
    const sums = await tool(["sha256sum", "dist/relais", `${root}/usr/sbin/relais`]);
    const [built, packed] = sums.stdout.trim().split("\n").map((line) => line.split(" ")[0]);
    assert.equal(packed, built);
    const said = await tool([`${root}/usr/sbin/relais`, "version", "--json"]);
    assert.equal(said.code, 0, said.stderr);
    const { denort } = JSON.parse(said.stdout) as { denort: string };
    const version = await tool(["dpkg-deb", "--field", await findPackage(), "Version"]);
    // A package whose runtime is not the official one says so.
    if (denort !== "official") assert.ok(version.stdout.includes(denort), version.stdout);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("a purge removes configuration, state and our lines of authorized_keys, nothing else", async () => {
  const root = Deno.makeTempDirSync({ prefix: "relais-purge-" });
  try {
    const scripts = `${root}/scripts`;
    await tool(["dpkg-deb", "--control", await findPackage(), scripts]);
    for (
      const folder of ["etc/relais/ssh", "etc/other", "var/lib/relais", "run/relais", "root/.ssh"]
    ) {
      Deno.mkdirSync(`${root}/${folder}`, { recursive: true });
    }
    Deno.writeTextFileSync(`${root}/etc/relais/relais.toml`, "# ours\n");
    const mine = "ssh-ed25519 AAAAmine admin@desk\n";
    const about = "# a comment that names relais-peer somewhere\n";
    const peer = 'restrict,command="relais receive" ssh-ed25519 AAAApeer relais-peer\n';
    const keys = `${root}/root/.ssh/authorized_keys`;
    Deno.writeTextFileSync(keys, mine + peer + about, { mode: 0o600 });

    const removed = await tool(["sh", `${scripts}/postrm`, "remove"], { DPKG_ROOT: root });
    assert.equal(removed.code, 0, removed.stderr);
    assert.equal(Deno.readTextFileSync(`${root}/etc/relais/relais.toml`), "# ours\n");
    assert.equal(Deno.readTextFileSync(keys), mine + peer + about);

    const purged = await tool(["sh", `${scripts}/postrm`, "purge"], { DPKG_ROOT: root });
    assert.equal(purged.code, 0, purged.stderr);
    assert.equal(Deno.readTextFileSync(keys), mine + about);
    assert.equal((Deno.statSync(keys).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual([...Deno.readDirSync(`${root}/etc`)].map(({ name }) => name), ["other"]);
    assert.deepEqual([...Deno.readDirSync(`${root}/var/lib`)], []);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});
