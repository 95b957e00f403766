import assert from "node:assert/strict";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { runOk } from "../os/process.ts";
import { fingerprintOfKey, publicKeyOf } from "./public_key.ts";

Deno.test("publicKeyOf() and fingerprintOfKey() agree with ssh-keygen", async () => {
  using folder = new TempDirectory();
  const path = `${folder.path}/key`;
  const make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a comment", "-f", path];
  await runOk(make, { deadlineMs: 60_000 });
  const key = publicKeyOf(await Deno.readTextFile(`${path}.pub`));
  const { stdout } = await runOk(["ssh-keygen", "-lf", `${path}.pub`], { deadlineMs: 60_000 });
  assert.equal(fingerprintOfKey(key ?? ""), stdout.split(" ")[1]);
});

Deno.test("publicKeyOf() refuses other kinds, cut keys and other text", () => {
  const wrong = [
    "",
    "ssh-ed25519",
    "ssh-rsa AAAA",
    `ssh-ed25519 ${"A".repeat(68)}`,
    "ssh-ed25519 !",
    `ssh-ed25519 ${"A".repeat(41)}`,
    `ssh-ed25519 ${"A".repeat(69)}`,
  ];
  for (const line of wrong) assert.equal(publicKeyOf(line), null, line);
});
