import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { describeProgram, generateAll } from "../../packaging/completions/generate.ts";
import { run, ToolMissingError } from "../os/process.ts";
import { createProgram } from "./program.ts";

const FOLDER = fileURLToPath(new URL("../../packaging/completions/", import.meta.url));

for (const [name, text] of Object.entries(generateAll())) {
  Deno.test(`packaging/completions/${name} is what generate.ts makes`, async () => {
    const committed = await Deno.readTextFile(`${FOLDER}${name}`);
    assert.equal(committed, text, "run: deno run -A packaging/completions/generate.ts");
  });
}

Deno.test("describeProgram() knows every verb of createProgram() with its choices", () => {
  const program = createProgram({ daemon: null, abort: new AbortController() }, () => {});
  const verbs = describeProgram();
  assert.deepEqual(verbs.map(({ name }) => name), program.commands.map((each) => each.name()));
  const sync = verbs.find(({ name }) => name === "sync");
  assert.deepEqual(sync?.arguments[0]?.values, [
    "astdb",
    "database",
    "config",
    "hot",
    "files",
    "all",
  ]);
  const daemon = verbs.find(({ name }) => name === "daemon");
  const values = Object.fromEntries(
    daemon!.options.map((word) => [word.flags.at(-1), word.values]),
  );
  assert.deepEqual(values["--log-level"], ["debug", "info", "warning", "error"]);
  assert.equal(values["--config"], "file");
  assert.equal(values["--run-dir"], "directory");
});

/** What bash offers for the words typed so far; the last one is being typed. */
async function offered(...words: readonly string[]): Promise<string[]> {
  const script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _relais; ' +
    'printf "%s\\n" "${COMPREPLY[@]}"';
  const argv = ["bash", "-uc", script, "bash", `${FOLDER}relais.bash`, "relais", ...words];
  const { code, stdout, stderr } = await run(argv, { deadlineMs: 10_000 });
  assert.equal(code, 0, stderr);
  return stdout.split("\n").filter((line) => line !== "");
}

Deno.test("relais.bash completes verbs, arguments, options and their values in a real bash", async () => {
  assert.deepEqual(await offered("swi"), ["switchover"]);
  assert.deepEqual(await offered("sync", "da"), ["database"]);
  assert.deepEqual(await offered("maintenance", ""), ["on", "off"]);
  assert.deepEqual(await offered("status", "--w"), ["--watch"]);
  assert.deepEqual(await offered("daemon", "--log-level", "w"), ["warning"]);
  assert.deepEqual(await offered("daemon", "--log-level", "=", "w"), ["warning"]);
  assert.deepEqual(await offered("daemon", "--log-level", "="), [
    "debug",
    "info",
    "warning",
    "error",
  ]);
  assert.deepEqual(await offered("check-config", `${FOLDER}relais.b`), [`${FOLDER}relais.bash`]);
  assert.deepEqual(await offered("switchover", "--wait", ""), []);
  assert.deepEqual(await offered("nonsense", ""), []);
});

Deno.test("relais.bash is offered by bash's own completion machinery once it is sourced", async () => {
  const script = 'source "$1"; complete -p relais';
  const argv = ["bash", "-euc", script, "bash", `${FOLDER}relais.bash`];
  const { stdout } = await run(argv, { deadlineMs: 10_000 });
  assert.equal(stdout, "complete -F _relais relais\n");
});

for (const [shell, file] of [["zsh", "_relais"], ["fish", "relais.fish"]] as const) {
  Deno.test(`${file} is good ${shell}, where ${shell} is installed`, async () => {
    try {
      const { code, stderr } = await run([shell, "-n", FOLDER + file], { deadlineMs: 10_000 });
      assert.equal(code, 0, stderr);
    } catch (error) {
      if (!(error instanceof ToolMissingError)) throw error;
      console.log(`    not checked: ${shell} is not installed here`);
    }
  });
}
