import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { ConfigError, formatIssue, parseConfig } from "./load.ts";
import type { Config } from "./types.ts";

const CONF = fileURLToPath(new URL("../../packaging/conf/", import.meta.url));
const SAMPLES = await Promise.all(
  ["relais.toml", "examples/no-vip.toml", "examples/ipv6.toml"].map((name) =>
    Deno.readTextFile(`${CONF}${name}`)
  ),
);
const sample = fc.constantFrom(...SAMPLES);

/** A Config, or null when refused as it should be; anything else fails the test. */
function parseOrRefuse(text: string): Config | null {
  try {
    return parseConfig(text);
  } catch (error) {
    assert.ok(error instanceof ConfigError, error instanceof Error ? error.stack : String(error));
    assert.ok(error.issues.length > 0);
    for (const issue of error.issues) assert.match(formatIssue(issue), /^.+: .+ \(got .*\)$/s);
    return null;
  }
}

/** Values of every TOML type, and near misses of what keys expect. */
const anyToml = fc.constantFrom(
  "true",
  "-1",
  "0",
  "1e400",
  "nan",
  "9223372036854775807",
  '""',
  '"\\u0000"',
  '"10.20.0.11"',
  '"fd00::1"',
  '"default"',
  '"__proto__"',
  "[]",
  "[[]]",
  "[1, 2]",
  '["a", 1]',
  "{}",
  "{ a = 1 }",
  '{ __proto__ = "x" }',
  "1979-05-27T07:32:00Z",
  "07:32:00",
  "'''\nlong\n'''",
);

Deno.test("parseConfig() returns a Config or throws a ConfigError, for any text", () => {
  fc.assert(fc.property(fc.string({ maxLength: 200, unit: "binary" }), (text) => {
    parseOrRefuse(text);
  }));
});

Deno.test("parseConfig() survives any value at any key of the samples", () => {
  fc.assert(
    fc.property(sample, fc.nat(), anyToml, (text, at, value) => {
      const lines = text.split("\n");
      const keyed = lines.flatMap((line, index) => /^(# )?\w+ = /.test(line) ? [index] : []);
      const index = keyed[at % keyed.length] ?? 0;
      lines[index] = (lines[index] ?? "").replace(/^(# )?(\w+) = .*/, `$2 = ${value}`);
      parseOrRefuse(lines.join("\n"));
    }),
    { numRuns: 400 },
  );
});

Deno.test("parseConfig() survives cut, doubled, swapped and damaged samples", () => {
  const damage = fc.record({
    text: sample,
    from: fc.nat(),
    length: fc.nat({ max: 60 }),
    put: fc.oneof(
      fc.string({ maxLength: 5 }),
      fc.constantFrom("[", "]", '"', "=", "\n[[networks]]\n"),
    ),
    twice: fc.boolean(),
  });
  fc.assert(
    fc.property(damage, ({ text, from, length, put, twice }) => {
      const start = from % text.length;
      const cut = text.slice(start, start + length);
      parseOrRefuse(text.slice(0, start) + (twice ? cut + cut : put) + text.slice(start + length));
    }),
    { numRuns: 400 },
  );
});

Deno.test("no accepted timing breaks the promises of defaults.ts", () => {
  const ms = fc.integer({ min: 1, max: 20_000 });
  let count = 0;
  fc.assert(
    fc.property(ms, ms, ms, (interval, isolated, dead) => {
      const text = `[cluster]\nname = "x"\n[[networks]]\nname = "n"\nmaster = "10.0.0.1"
slave = "10.0.0.2"\nprefix = 24\n[heartbeat]\ninterval_ms = ${interval}
isolated_after_ms = ${isolated}\ndead_after_ms = ${dead}`;
      const beat = parseOrRefuse(text)?.heartbeat;
      const allowed = interval >= 20 && interval <= 10_000 && isolated >= 2 * interval &&
        isolated + interval <= dead && dead >= 3 * interval;
      assert.equal(beat !== undefined, allowed, text);
      if (beat === undefined) return;
      count++;
      assert.deepEqual([beat.intervalMs, beat.isolatedAfterMs, beat.deadAfterMs], [
        interval,
        isolated,
        dead,
      ]);
      assert.ok(beat.witnessIntervalMs * 2 <= beat.isolatedAfterMs, "two witness echoes fit");
      assert.ok(beat.httpIntervalMs >= interval && beat.httpIntervalMs * 3 <= dead);
      assert.ok(beat.bootGraceMs >= 4 * dead);
    }),
    { numRuns: 1000 },
  );
  assert.ok(count > 10, "some timings were accepted");
});

Deno.test("the fingerprint does not change with comments, layout or order of keys", () => {
  fc.assert(fc.property(sample, fc.infiniteStream(fc.nat()), (text, stream) => {
    const random = (): number => stream.next().value ?? 0;
    const tables = text.replace(/\[\n([^\]]*)\n\]/g, (_, inner) => `[${inner.replace(/\n/g, " ")}]`)
      .split(/\n(?=\[)/);
    const shuffled = tables.map((table) => {
      const [head = "", ...lines] = table.split("\n").filter((line) => !/^\s*(#|$)/.test(line));
      const sorted = lines.map((line) => [random(), line] as const).sort((a, b) => a[0] - b[0]);
      return [head, ...sorted.map(([, line]) => `  ${line}   # ${random()}`)].join("\n\n");
    });
    assert.equal(parseConfig(shuffled.join("\n")).fingerprint, parseConfig(text).fingerprint);
  }));
});

Deno.test("the fingerprint changes with the meaning, and is of the canonical addresses", () => {
  const [text = ""] = SAMPLES;
  const { fingerprint } = parseConfig(text);
  assert.match(fingerprint, /^[0-9a-f]{64}$/);
  for (const [from, to] of [["2m", "3m"], ['"siege"', '"annexe"'], ["10.20.0.10", "10.20.0.9"]]) {
    assert.notEqual(parseConfig(text.replace(from ?? "", to ?? "")).fingerprint, fingerprint);
  }
  assert.equal(parseConfig(text.replace('"2m"', '"120s"')).fingerprint, fingerprint);
  const v6 = SAMPLES[2] ?? "";
  assert.equal(
    parseConfig(v6.replace("2001:db8:20::11", "2001:0DB8:20:0::11")).fingerprint,
    parseConfig(v6).fingerprint,
  );
});
