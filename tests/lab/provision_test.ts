/**
 * The hosts as stories find them: a small PBX on both, from disks that were saved.
 *
 * @module
 */

import assert from "node:assert/strict";
import { run } from "../../src/os/process.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import { TempDirectory } from "../support/temp_directory.ts";
import { Laboratory } from "./laboratory.ts";
import { labToml, preparePbx, sql } from "./provision.ts";

Deno.test("saved disks hold a PBX on both hosts", async () => {
  using temporary = new TempDirectory(); // disks of its own, so that none is left from another run
  const from = { name: "pbx", make: preparePbx };
  await using laboratory = await Laboratory.open({ directory: `${temporary.path}/lab`, from });
  const { master, slave, tool } = laboratory;
  assert.equal((await tool.try(["saved", "pbx"])).code, 0);
  assert.notEqual((await tool.try(["saved", "another"])).code, 0);
  for (const [host, users] of [[master, "200"], [slave, "50"]] as const) {
    assert.equal(await sql(host, "asterisk", "SELECT count(*) FROM userfeatures"), users);
    assert.equal(await host.isActive("asterisk.service"), false);
  }
});

Deno.test("relais accepts the laboratory's configuration", async () => {
  using temporary = new TempDirectory();
  const file = `${temporary.path}/relais.toml`;
  Deno.writeTextFileSync(file, labToml());
  const relais = [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-check",
    "-A",
    `${REPOSITORY}/src/main.ts`,
  ];
  const result = await run([...relais, "check-config", file], { deadlineMs: 60_000 });
  assert.equal(result.code, 0, result.stdout + result.stderr);
});
