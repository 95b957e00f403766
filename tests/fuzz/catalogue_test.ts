import assert from "node:assert/strict";
import { NOT_FUZZED, TARGETS } from "./catalogue.ts";

const SRC = new URL("../../src/", import.meta.url);

/** What makes a file look like a parser: what it exports, or how it takes bytes and texts apart. */
const SIGNS = [
  /^export (async )?function\*? (parse|decode|read|take|detect)[A-Z]/m,
  /\bJSON\.parse\(/,
  /\bsafeParse\(/,
  /\.get(Big)?(Uint|Int)\d+\(/,
];

function* sources(folder: URL, prefix = ""): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* sources(new URL(`${name}/`, folder), `${prefix}${name}/`);
    else if (/\.tsx?$/.test(name) && !/_(test|testing|fixture)\.ts$/.test(name)) {
      yield prefix + name;
    }
  }
}

const ALL = [...sources(SRC)].sort();
const PARSERS = ALL.filter((path) => {
  const text = Deno.readTextFileSync(new URL(path, SRC));
  return SIGNS.some((sign) => sign.test(text));
});
const FUZZED = new Set(TARGETS.flatMap(({ files }) => files));

Deno.test("every file that looks like a parser is fuzzed, or left out for a reason", () => {
  assert.ok(PARSERS.length > 60, `${PARSERS.length} look like parsers`);
  const missing = PARSERS.filter((path) => !FUZZED.has(path) && !(path in NOT_FUZZED));
  assert.deepEqual(missing, [], "add a target in tests/fuzz/targets, or a reason in catalogue.ts");
});

Deno.test("the catalogue names files that exist, and none twice", () => {
  for (const path of [...FUZZED, ...Object.keys(NOT_FUZZED)]) {
    assert.ok(ALL.includes(path), `${path} is not there`);
  }
  assert.deepEqual(Object.keys(NOT_FUZZED).filter((path) => FUZZED.has(path)), []);
  for (const reason of Object.values(NOT_FUZZED)) assert.ok(reason.length > 10, reason);
});

Deno.test("targets have names of their own and good inputs", async () => {
  const names = TARGETS.map(({ name }) => name);
  assert.deepEqual([...new Set(names)], names);
  for (const { name, corpus } of TARGETS) {
    assert.ok((await corpus()).length > 0, `${name} has no corpus`);
  }
});
