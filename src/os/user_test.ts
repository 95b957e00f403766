import assert from "node:assert/strict";
import { selfCommand } from "./self.ts";
import { lookupUser } from "./user.ts";

const IS_ROOT = Deno.uid() === 0;

Deno.test("lookupUser() names a user that does not exist", async () => {
  await assert.rejects(
    lookupUser("relais-nobody"),
    /"relais-nobody" as this system has no such user/,
  );
});

Deno.test({
  name: "lookupUser() gives what makes a child run as that user",
  ignore: !IS_ROOT,
  fn: async () => {
    const user = await lookupUser("nobody");
    const child = new Deno.Command("id", { args: ["-un"], ...user, cwd: "/" });
    assert.equal(new TextDecoder().decode((await child.output()).stdout).trim(), "nobody");
    assert.deepEqual(await lookupUser("root"), {});
  },
});

Deno.test("selfCommand() runs the source tree with the Deno that runs now", async () => {
  const [program, ...args] = selfCommand(["version"]);
  assert.equal(program, Deno.execPath());
  assert.deepEqual([args[0], args.at(-1)], ["run", "version"]);
  const main = args.at(-2) ?? "";
  assert.match(main, /\/src\/main\.ts$/);
  await Deno.stat(new URL(".", `file://${main}`));
});
