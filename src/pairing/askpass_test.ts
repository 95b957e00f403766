import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { run, type RunResult } from "../os/process.ts";
import { askpassEnvironment, AskpassServer } from "./askpass.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

/** The program as ssh starts it: the question is its only argument. */
async function asked(path: string, question: string): Promise<RunResult> {
  const argv = [Deno.execPath(), "run", "--quiet", "--no-check", "-A", MAIN, question];
  return await run(argv, { deadlineMs: 60_000, env: askpassEnvironment("", path) });
}

Deno.test("relais, started by ssh as its askpass, passes the question on and prints the answer", async () => {
  using folder = new TempDirectory();
  const path = `${folder.path}/askpass`;
  const questions: string[] = [];
  const answers = ["pass wörd ", null];
  const server = new AskpassServer(path, (question) => {
    questions.push(question);
    return Promise.resolve(answers.shift() ?? null);
  });
  try {
    const first = await asked(path, "admin@10.20.0.12's password: ");
    assert.deepEqual([first.code, first.stdout], [0, "pass wörd \n"]);
    const second = await asked(path, "--version");
    assert.deepEqual([second.code, second.stdout], [1, ""], "no answer, and never a verb");
  } finally {
    await server.close();
  }
  assert.deepEqual(questions, ["admin@10.20.0.12's password: ", "--version"]);
});
