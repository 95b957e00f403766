/**
 * Mutates JSON as a tree, so that what comes out is still JSON and gets past the first door: values of
 * another type, missing, doubled and unexpected keys, deep and long ones.
 *
 * @module
 */

import { bytesOf, textOf } from "./bytes.ts";
import type { Random } from "./random.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Values that a careless reader stumbles over. Written as JSON, as some are no values of JavaScript. */
const ODD = ["null", "true", "0", "-1", "1e400", "1.5", "9007199254740992", '""', '"\\u0000"', "[]"]
  .concat(["{}", '"__proto__"', '{"__proto__":{"x":1}}', '"\\ud800"', "[[[[[[]]]]]]", '"../../x"'])
  .concat([`"${"x".repeat(5000)}"`, `[${"0,".repeat(300)}0]`, '"a\\nb"', '"NaN"', "-0", "1e-7"])
  .concat([
    '{"toString":1}',
    '{"length":-1}',
    '"\\u2028"',
    '"💩"',
    "4294967296",
    "-9007199254740993",
  ]);
const KEYS = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "",
  "0",
  "length",
  "a\0b",
  "x.y",
];

/** A mutated tree as text; null when `bytes` is no JSON. */
export function mutateJson(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> | null {
  let value: Json;
  try {
    value = JSON.parse(textOf(bytes));
  } catch {
    return null;
  }
  const times = random.pick([1, 1, 1, 2, 3]);
  for (let i = 0; i < times; i++) value = change(value, random, 0);
  return bytesOf(write(value));
}

/** Stands for a text of JSON that is written as it is. */
const RAW = "\u{10fffd}";

function change(value: Json, random: Random, depth: number): Json {
  const inside = typeof value === "object" && value !== null && Object.keys(value).length > 0;
  if (!inside || depth > 8 || random.oneIn(inside ? 6 : 1)) return replace(value, random);
  if (Array.isArray(value)) {
    const at = random.below(value.length);
    const copy = [...value];
    switch (random.below(5)) {
      case 0:
        copy.splice(at, 1);
        break;
      case 1:
        copy.splice(at, 0, value[at]!);
        break;
      default:
        copy[at] = change(copy[at]!, random, depth + 1);
    }
    return copy;
  }
  const entries = Object.entries(value);
  const at = random.below(entries.length);
  const [key, old] = entries[at]!;
  switch (random.below(7)) {
    case 0:
      entries.splice(at, 1);
      break;
    case 1:
      entries.push([random.pick(KEYS), old]);
      break;
    case 2:
      entries[at] = [random.pick(KEYS), old];
      break;
    default:
      entries[at] = [key, change(old, random, depth + 1)];
  }
  // Not by assignment: `__proto__` must become a key of its own.
  return Object.fromEntries(entries);
}

function replace(value: Json, random: Random): Json {
  if (typeof value === "number" && random.oneIn(2)) {
    return random.pick([value + 1, value - 1, -value, value + 0.5, value * 2 ** 40]);
  }
  if (typeof value === "string" && !value.startsWith(RAW) && random.oneIn(2)) {
    const at = random.below(value.length + 1);
    const odd = random.pick(["\0", "\n", "/", "..", " ", "'", "x".repeat(300), "ÿ", "\ud800", "-"]);
    return value.slice(0, at) + odd + value.slice(at + random.below(3));
  }
  return RAW + random.pick(ODD);
}

function write(value: Json): string {
  return JSON.stringify(value).replaceAll(
    new RegExp(`"${RAW}((?:[^"\\\\]|\\\\.)*)"`, "gu"),
    (_, text: string) => JSON.parse(`"${text}"`),
  );
}
