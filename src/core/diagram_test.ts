import assert from "node:assert/strict";
import { PRINT_COMMAND, printStateDiagram } from "./diagram.ts";
import { RULES } from "./transitions.ts";

const page = printStateDiagram(RULES);

Deno.test("docs/state-diagram.md is what printStateDiagram() prints from the table", async () => {
  const written = await Deno.readTextFile(new URL("../../docs/state-diagram.md", import.meta.url));
  assert.ok(written === page, `docs/state-diagram.md is old; run: ${PRINT_COMMAND}`);
});

Deno.test("printStateDiagram() has a line in the table for each rule, six cells wide", () => {
  for (const { id } of RULES) {
    const lines = page.split("\n").filter((line) => line.startsWith(`| ${id} |`));
    assert.equal(lines.length, 1, id);
    assert.equal(lines[0]?.split(/(?<!\\)\|/).length, 8, id);
  }
});

Deno.test("printStateDiagram() draws or names each rule that changes the state of that node", () => {
  const [, slave = "", master = ""] = page.split(/^## The (?:slave|master)$/m);
  for (const { id, role, to } of RULES) {
    if (to === "stay") continue;
    const named = new RegExp(`(?<![A-Z-])${id}(?![A-Z-])`);
    assert.equal(named.test(slave), role !== "master", `${id} in the slave's diagram`);
    assert.equal(named.test(master.split("## The table")[0] ?? ""), role !== "slave", id);
  }
});

Deno.test("printStateDiagram() says what a rule does in its order: VIPs before anything else", () => {
  const cells = (id: string): string =>
    page.split("\n").find((line) => line.startsWith(`| ${id} |`)) ?? "";
  assert.match(cells("S-YIELD"), /drop the VIPs, start join \|$/);
  assert.match(cells("M-ISOLATE"), /\| drop the VIPs, cancel the goal in progress, discard/);
  assert.match(cells("M-SERVE"), /start take \(asks a peer that answers for a newer astdb\) \|$/);
});
