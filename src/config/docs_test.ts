import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { BOUNDS, HEARTBEAT_PRESETS } from "./defaults.ts";
import { parseConfig } from "./load.ts";
import * as schema from "./schema.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const manual = await Deno.readTextFile(`${ROOT}docs/configuration.md`);
const manPage = await Deno.readTextFile(`${ROOT}packaging/man/relais.toml.5`);
const sample = await Deno.readTextFile(`${ROOT}packaging/conf/relais.toml`);

/** Every key of every table of the schema. */
const KEYS = [...new Set(Object.values(schema).flatMap((shape) => Object.keys(shape)))];

Deno.test("docs/configuration.md and relais.toml(5) name every key", () => {
  assert.ok(KEYS.length > 50, "the schema was read");
  for (const key of KEYS) {
    assert.match(manual, new RegExp(`[\`.[]${key}[\`\\].]`), `${key} in docs/configuration.md`);
    assert.match(manPage, new RegExp(`\\b${key}\\b`), `${key} in relais.toml.5`);
  }
});

Deno.test("docs/configuration.md states the presets and bounds of defaults.ts", () => {
  const row = (name: string): number[] => {
    const line = manual.split("\n").find((one) => {
      return one.startsWith(`| \`${name}\``) && one.split("|").length === 8;
    });
    return (line?.replaceAll(",", "").split("|").slice(2, 6) ?? []).map(Number);
  };
  for (const [name, preset] of Object.entries(HEARTBEAT_PRESETS)) {
    assert.deepEqual(row(name), Object.values(preset), name);
  }
  const shown = (n: number): string => n.toLocaleString("en-US");
  for (const key of ["interval_ms", "isolated_after_ms", "dead_after_ms"] as const) {
    const bounds = {
      interval_ms: BOUNDS.intervalMs,
      isolated_after_ms: BOUNDS.isolatedAfterMs,
      dead_after_ms: BOUNDS.deadAfterMs,
    }[key];
    const line = manual.split("\n").find((one) => one.startsWith(`| \`${key}\` `));
    assert.match(line ?? "", new RegExp(`${shown(bounds.min)} to ${shown(bounds.max)}`), key);
  }
});

Deno.test("the example of relais.toml(5) is a good file", () => {
  const example = /\.EX\n([\s\S]*?)\.EE/.exec(manPage)?.[1] ?? "";
  assert.equal(parseConfig(example).networks[0]?.name, "voip");
});

Deno.test("the sample names nothing that the schema does not have", () => {
  const named = [...sample.matchAll(/^(?:# )?(\w+) = /gm)].map((match) => match[1] ?? "");
  assert.deepEqual(named.filter((key) => !KEYS.includes(key)), []);
});
