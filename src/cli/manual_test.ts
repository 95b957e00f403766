import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run, ToolMissingError } from "../os/process.ts";
import { DEFAULT_PATHS } from "../runtime/paths.ts";
import { EXIT } from "./exit_codes.ts";
import { createProgram } from "./program.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PAGE = `${ROOT}packaging/man/relais.8`;
const source = await Deno.readTextFile(PAGE);
/** The page as words: escaped hyphens and font macros are gone. */
const page = source.replaceAll("\\-", "-").replaceAll(/^\.(BR?|I|BI|IR|RB|RI) /gm, "");
const program = createProgram({ daemon: null, abort: new AbortController() }, () => {});

/** From a `.SH` to the next. */
function section(title: string): string {
  return page.split(/^\.SH /m).find((part) => part.replaceAll('"', "").startsWith(title)) ?? "";
}

Deno.test("relais(8) has every verb of createProgram() in synopsis and verbs", () => {
  for (const verb of program.commands.map((command) => command.name())) {
    assert.match(section("SYNOPSIS"), new RegExp(`\\b${verb}\\b`), verb);
    if (verb !== "daemon") assert.match(section("VERBS"), new RegExp(`^"?${verb}\\b`, "m"), verb);
  }
});

Deno.test("relais(8) has every option of createProgram(), and no others", () => {
  const known = new Set(["-h", "--help"]);
  for (const command of [program, ...program.commands]) {
    for (const { short, long, argChoices } of command.options) {
      for (const flag of [short, long].filter((each) => each !== undefined)) known.add(flag);
      for (const choice of argChoices ?? []) {
        assert.match(section("OPTIONS"), new RegExp(`\\b${choice}\\b`), `${long} ${choice}`);
      }
    }
  }
  const named = [...section("OPTIONS").matchAll(/(?<![\w-])--?[a-zA-Z][a-z-]*/g)].map(([flag]) =>
    flag
  );
  assert.deepEqual([...new Set(named)].sort(), [...known].sort());
});

Deno.test("relais(8) and docs/exit-codes.md have every exit status", async () => {
  const table = await Deno.readTextFile(`${ROOT}docs/exit-codes.md`);
  for (const [name, status] of Object.entries(EXIT)) {
    assert.match(section("EXIT STATUS"), new RegExp(`^${status}$`, "m"), name);
    assert.match(table, new RegExp(`^\\| ${status} +\\|`, "m"), name);
  }
});

Deno.test("relais(8) names the default places", () => {
  for (const path of Object.values(DEFAULT_PATHS)) assert.ok(page.includes(path), path);
});

Deno.test("relais(8) formats without a warning, where groff is installed", async () => {
  try {
    const argv = ["groff", "-man", "-ww", "-z", "-Tutf8", PAGE];
    const { code, stderr } = await run(argv, { deadlineMs: 10_000 });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  } catch (error) {
    if (!(error instanceof ToolMissingError)) throw error;
    console.log("    not checked: groff is not installed here");
  }
});
