import assert from "node:assert/strict";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { oldName, writeFileAtomically, writeSmallFile } from "./durable_file.ts";

const names = (folder: string): string[] => [...Deno.readDirSync(folder)].map(({ name }) => name);

for (const sync of [true, false]) {
  Deno.test(`writeSmallFile() replaces a file whole, privately, and leaves nothing aside (sync ${sync})`, () => {
    using directory = new TempDirectory();
    const path = `${directory.path}/state`;
    writeSmallFile(path, "a long text of before", { sync });
    Deno.writeTextFileSync(`${path}.tmp`, "what a crash left here, longer than the new text");
    writeSmallFile(path, "é", { sync });
    assert.equal(Deno.readTextFileSync(path), "é");
    assert.deepEqual(names(directory.path), ["state"]);
    writeSmallFile(`${directory.path}/own`, "", { sync });
    assert.equal(Deno.statSync(`${directory.path}/own`).mode! & 0o777, 0o600);
  });
}

Deno.test("a write that fails leaves the file as it was", async () => {
  using directory = new TempDirectory();
  const path = `${directory.path}/state`;
  writeSmallFile(path, "before", { sync: true });
  Deno.mkdirSync(`${path}.tmp`);
  assert.throws(() => writeSmallFile(path, "after", { sync: true }));
  assert.equal(Deno.readTextFileSync(path), "before");
  await assert.rejects(writeFileAtomically(`${path}.tmp`, "a file over a directory"));
  assert.deepEqual(names(directory.path).sort(), ["state", "state.tmp"], "nothing is left aside");
});

Deno.test("oldName() is the file's name with the time in UTC", () => {
  const at = Date.UTC(2026, 10, 30, 12, 0, 7, 250);
  assert.equal(oldName("/etc/relais/key", at), "/etc/relais/key.20261130T120007.old");
});
