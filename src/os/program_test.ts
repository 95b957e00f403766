import assert from "node:assert/strict";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { findProgram, whyNotTrusted } from "./program.ts";

function file(directory: TempDirectory, name: string, mode: number): string {
  const path = `${directory.path}/${name}`;
  Deno.writeTextFileSync(path, "#!/bin/sh\n");
  Deno.chmodSync(path, mode);
  return path;
}

Deno.test("findProgram() takes the first executable file of PATH, and absolute paths as they are", () => {
  using first = new TempDirectory();
  using second = new TempDirectory();
  const path = `/nowhere:${first.path}:${second.path}`;
  file(first, "hook", 0o644); // not executable: the shell would not take it either
  const found = file(second, "hook", 0o755);
  assert.equal(findProgram("hook", path), found);
  assert.equal(findProgram(found, "/nowhere"), found);
  assert.equal(findProgram("relais-no-such-program", path), null);
  assert.equal(findProgram(`${first.path}/hook`, path), null);
  assert.equal(findProgram(first.path, path), null, "a folder is no program");
  assert.match(findProgram("sh", undefined) ?? "", /^\/(usr\/)?bin\/sh$/);
});

Deno.test("whyNotTrusted() names a program that somebody else than root could change", () => {
  using directory = new TempDirectory();
  assert.equal(whyNotTrusted(file(directory, "mine", 0o755)), null);
  assert.match(whyNotTrusted(file(directory, "open", 0o757)) ?? "", /others .* may write/);
  assert.match(whyNotTrusted(file(directory, "group", 0o775)) ?? "", /others .* may write/);
});

Deno.test({
  name: "whyNotTrusted() names the owner of a program that is not root's",
  ignore: Deno.uid() !== 0, // only root can give a file away
  fn: () => {
    using directory = new TempDirectory();
    const path = file(directory, "asterisk", 0o755);
    Deno.chownSync(path, 12_345, null);
    assert.match(whyNotTrusted(path) ?? "", /belongs to the user with uid 12345/);
  },
});
