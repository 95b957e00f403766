import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { CATALOGUE, GROUPS } from "./catalogue.ts";
import { allChecks } from "./checks.ts";
import type { Patient } from "./patient.ts";

const page = await Deno.readTextFile(
  fileURLToPath(new URL("../../docs/doctor.md", import.meta.url)),
);

/** Table rows of the page that begin with an id: id → cells. */
const rows = new Map(
  page.split("\n").flatMap((line) => {
    const [, id, rest] = /^\| `([a-z_]+\.[a-z_]+)` +\| (.*) \|$/.exec(line) ?? [];
    return id === undefined ? [] : [[id, (rest ?? "").split(/ +\| /)] as const];
  }),
);

Deno.test("docs/doctor.md lists every check of the catalogue with its reason and mend, and no others", () => {
  assert.deepEqual([...rows.keys()].sort(), Object.keys(CATALOGUE).sort());
  for (const [id, { why, mend }] of Object.entries(CATALOGUE)) {
    assert.deepEqual(rows.get(id)?.map((cell) => cell.trim()), [why, mend], id);
  }
  for (const group of GROUPS) assert.match(page, new RegExp(`^### ${group}$`, "m"));
});

Deno.test("allChecks() makes every check of the catalogue, each once", () => {
  // The list depends on nothing of the host; nothing is asked before look().
  const config = { networks: [], services: {}, replication: {} };
  const ids = allChecks({ config, paths: {} } as unknown as Patient).flatMap((check) => check.ids);
  assert.deepEqual([...ids].sort(), Object.keys(CATALOGUE).sort());
});

Deno.test("ids begin with their group, and every reason is a sentence", () => {
  for (const [id, { group, why }] of Object.entries(CATALOGUE)) {
    assert.ok(id.startsWith(`${group}.`), id);
    assert.match(why, /^\w.*\.$/, id);
    assert.ok(why.length > 20, id);
  }
});
