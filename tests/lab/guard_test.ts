/**
 * A laboratory goes with the test run that opened it, also when that is killed; and two of them live side
 * by side.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { runOk } from "../../src/os/process.ts";
import { poll } from "../support/poll.ts";
import { TempDirectory } from "../support/temp_directory.ts";
import { Laboratory } from "./laboratory.ts";
import { LabTool } from "./lab_tool.ts";

/** What a test run that will be killed does. */
const CHILD = `
  import { Laboratory } from ${
  JSON.stringify(fileURLToPath(import.meta.resolve("./laboratory.ts")))
};
  const laboratory = await Laboratory.open({ directory: Deno.args[0] });
  console.log("up");
  await new Promise((resolve) => setTimeout(resolve, 600_000));
`;

/** What is left of a laboratory: mounts, loop devices, cgroups, processes. */
async function remains(directory: string): Promise<string[]> {
  const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n");
  const loops =
    (await runOk(["losetup", "--list", "--output", "BACK-FILE"], { deadlineMs: 20_000 }))
      .stdout.split("\n");
  const processes = (await runOk(["ps", "-eo", "args"], { deadlineMs: 20_000 })).stdout.split("\n");
  return [...mounts, ...loops, ...processes].filter((line) => line.includes(directory));
}

Deno.test("a killed test run leaves nothing; another laboratory beside it is not touched", async () => {
  using temporary = new TempDirectory();
  const directory = `${temporary.path}/killed`;
  await using laboratory = await Laboratory.open();
  Deno.writeTextFileSync(`${temporary.path}/child.ts`, CHILD);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", `${temporary.path}/child.ts`, directory],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    assert.equal((await reader.read()).value?.trim(), "up");
    assert.notDeepEqual(await remains(directory), []);
    await assert.rejects(Laboratory.open({ directory }), /Cannot take the laboratory/);
  } finally {
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
  }
  let left: string[] = [];
  await poll(async () => (left = await remains(directory)).length === 0, {
    deadlineMs: 60_000,
    everyMs: 200,
    what: "the killed run's laboratory gone",
    instead: () => left.join("\n"),
  });
  assert.match((await new LabTool(directory).run(["status"])).stdout, /down/);
  assert.equal(await laboratory.master.read(["hostname"]), "master");
});
