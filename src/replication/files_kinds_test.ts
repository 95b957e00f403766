import assert from "node:assert/strict";
import { chmod, lchown, link } from "node:fs/promises";
import { join } from "node:path";
import { runOk } from "../os/process.ts";
import { Pair } from "./peer_fixture.ts";

const signal = new AbortController().signal;

async function output(argv: readonly string[]): Promise<string> {
  return (await runOk(argv, { deadlineMs: 20_000 })).stdout;
}

async function isInstalled(tool: string): Promise<boolean> {
  return await output([tool, "--version"]).then(() => true, () => false);
}

const hasTools = await isInstalled("setfacl") && await isInstalled("setfattr");

Deno.test("Replicator.sync('files') carries rights, owners, links, holes and every name", async () => {
  const pair = await Pair.make("master");
  try {
    const [here, there] = [pair.at("shared/sounds"), pair.at("peer/shared/sounds")];
    await Deno.mkdir(here);
    await Deno.mkdir(pair.at("shared/etc"));
    const names = [
      "a b",
      "-rf",
      "line\nfeed",
      "é€😀",
      "'quo\"te$(x)`y`",
      "back\\slash",
      "*?[x]",
      " ",
    ];
    for (const name of names) await Deno.writeTextFile(join(here, name), name);
    await chmod(join(here, "a b"), 0o2640);
    await lchown(join(here, "-rf"), 54321, 54322);
    await chmod(join(here, "-rf"), 0o4751);
    await link(join(here, "a b"), join(here, "hard link"));
    await Deno.symlink("nowhere/at all", join(here, "soft link"));
    await lchown(join(here, "soft link"), 54321, 54322);
    const hole = await Deno.open(join(here, "hole"), { write: true, createNew: true });
    await hole.truncate(64 * 1024 * 1024);
    hole.close();
    const replicator = pair.replicator();
    await replicator.sync("files", { signal });
    for (const name of names) assert.equal(await Deno.readTextFile(join(there, name)), name);
    const [one, two] = ["a b", "hard link"].map((name) => Deno.lstatSync(join(there, name)));
    assert.equal(one!.ino, two!.ino);
    assert.equal(one!.mode! & 0o7777, 0o2640);
    const odd = Deno.lstatSync(join(there, "-rf"));
    assert.deepEqual([odd.uid, odd.gid, odd.mode! & 0o7777], [54321, 54322, 0o4751]);
    assert.equal(await Deno.readLink(join(there, "soft link")), "nowhere/at all");
    assert.equal(Deno.lstatSync(join(there, "soft link")).uid, 54321);
    const made = Deno.lstatSync(join(there, "hole"));
    assert.equal(made.size, 64 * 1024 * 1024);
    assert.ok(made.blocks! * 512 < 1024 * 1024, `the hole takes ${made.blocks} blocks`);
    await replicator.stop();
  } finally {
    await pair.end();
  }
});

Deno.test({
  name: "Replicator.sync('files') carries ACLs and extended attributes, also when only they change",
  ignore: !hasTools,
  async fn(): Promise<void> {
    const pair = await Pair.make("master");
    try {
      const [here, there] = [pair.at("shared/sounds"), pair.at("peer/shared/sounds")];
      await Deno.mkdir(join(here, "dir"), { recursive: true });
      await Deno.mkdir(pair.at("shared/etc"));
      await Deno.writeTextFile(join(here, "file"), "x");
      const replicator = pair.replicator();
      await replicator.sync("files", { signal });
      await output(["setfacl", "-m", "u:54321:rwx", join(here, "file")]);
      await output(["setfacl", "-d", "-m", "g:54322:r-x", join(here, "dir")]);
      await output(["setfattr", "-n", "user.tenant", "-v", "one", join(here, "file")]);
      await replicator.sync("files", { signal });
      const acl = await output(["getfacl", "-n", "-p", join(there, "file"), join(there, "dir")]);
      assert.match(acl, /^user:54321:rwx/m);
      assert.match(acl, /^default:group:54322:r-x/m);
      assert.match(await output(["getfattr", "-n", "user.tenant", join(there, "file")]), /"one"/);
      await replicator.stop();
    } finally {
      await pair.end();
    }
  },
});
