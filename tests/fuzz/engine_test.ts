import assert from "node:assert/strict";
import { bytesOf, chunksOf, concat, textOf } from "./bytes.ts";
import { TARGETS } from "./catalogue.ts";
import { isGrowth, runRange, Source, tryInput } from "./engine.ts";
import { keptInputs } from "./kept.ts";
import { mutateJson } from "./mutate_json.ts";
import { Random } from "./random.ts";
import { runJob } from "./runner.ts";
import { kindOfFailure, shrink } from "./shrink.ts";
import { mustHold, stateless, type Subject, type Target } from "./target.ts";
import { findSlow } from "./work.ts";

const PLAIN = {
  name: "example",
  files: [],
  maxBytes: 2000,
  corpus: () => ["good=1;next=2", "x=9"].map(bytesOf),
  words: [";", "=", "bad"],
};

Deno.test("each target takes its corpus as it should: good inputs are accepted", async () => {
  for (const target of TARGETS) {
    const source = await Source.of(target);
    const range = { seed: 1, from: 0, count: source.corpus.length + 20 };
    const { failures, accepted } = await runRange(source, range);
    assert.deepEqual(failures.map(({ what }) => what), [], target.name);
    assert.ok(accepted > 0, `${target.name} accepts nothing`);
  }
});

Deno.test("what once broke something does not any more", async () => {
  const kept = await keptInputs(TARGETS.map(({ name }) => name));
  assert.ok(kept.length > 10, "there are kept inputs");
  for (const { file, target, input } of kept) {
    const subject = TARGETS.find(({ name }) => name === target)!;
    assert.equal(await tryInput(subject, input), null, file);
  }
});

Deno.test("an input follows from seed, target and number alone", async () => {
  const source = await Source.of(stateless({ ...PLAIN, feed: () => true }));
  const again = await Source.of(stateless({ ...PLAIN, feed: () => true }));
  const all = (from: Source, seed: number): string[] =>
    Array.from({ length: 300 }, (_, index) => textOf(from.input(seed, index)));
  assert.deepEqual(all(source, 5), all(again, 5));
  assert.notDeepEqual(all(source, 5), all(source, 6));
  assert.ok(new Set(all(source, 5)).size > 200, "inputs differ");
});

Deno.test("a parser that breaks is found and the input is made small", async () => {
  const target = stateless({
    ...PLAIN,
    feed(bytes): boolean {
      mustHold(!textOf(bytes).includes("bad"), "it cannot read what is bad");
      return true;
    },
  });
  const { failures } = await runRange(await Source.of(target), { seed: 1, from: 0, count: 3000 });
  const [failure] = failures;
  assert.ok(failure !== undefined, "found");
  const kind = kindOfFailure(failure.what);
  const small = await shrink(failure.input, async (input) => {
    const what = await tryInput(target, input);
    return what !== null && kindOfFailure(what) === kind;
  });
  assert.equal(textOf(small), "bad");
});

Deno.test("a receiver that keeps what it hears is found", async () => {
  const { gc } = globalThis as { gc?: () => void };
  const leaky: Target = {
    ...PLAIN,
    open(): Subject {
      const kept: string[] = [];
      return { feed: (bytes) => kept.push(`${textOf(bytes)}${"x".repeat(100)}`) > 0 };
    },
  };
  const range = { seed: 1, from: 0, count: 30_000 };
  const result = await runRange(await Source.of(leaky), range);
  if (gc !== undefined) assert.ok(isGrowth(result), `${result.growthBefore}, ${result.growth}`);
  const bounded: Target = {
    ...PLAIN,
    open(): Subject {
      const kept = new Set<string>();
      return {
        feed: (bytes) => kept.add(textOf(bytes)).size > 0,
        sizes: () => ({ texts: [kept.size, 1000] }),
      };
    },
  };
  const { failures } = await runRange(await Source.of(bounded), range);
  assert.match(failures[0]?.what ?? "", /texts are kept, 1000 are the most/);
});

Deno.test("a parser whose work grows with the square of the input is found", async () => {
  const target = stateless({
    ...PLAIN,
    maxBytes: 8192,
    // Each `;` looks for a `!` to the end.
    feed: (bytes) => /;[^!]*!/.test(textOf(bytes)),
  });
  const slow = await findSlow(await Source.of(target), 1);
  assert.ok(
    slow.some(({ pattern }) => pattern.includes(";")),
    JSON.stringify(slow.map((s) => s.ms)),
  );
  assert.ok(slow.every(({ exponent }) => exponent > 1.5));
});

Deno.test("a thread that stands still is ended and its input named", async () => {
  const module = new URL("./endless_fixture.ts", import.meta.url).href;
  const job = { target: "endless", seed: 1, from: 0, count: 40, work: false, module };
  const { result, hangs, error } = await runJob(job, 3000);
  assert.equal(error, null);
  assert.deepEqual(hangs, [1], "the second input of the corpus");
  assert.equal(result?.inputs, 38, "and it went on behind it");
});

Deno.test("pieces are the same bytes, and JSON that is mutated is JSON", () => {
  const json = bytesOf(JSON.stringify({ a: [1, 2, { b: "x" }], c: null }));
  let odd = 0;
  for (let i = 0; i < 500; i++) {
    const random = new Random(`${i}`);
    const bytes = random.bytes(random.below(3000));
    assert.deepEqual(concat(...chunksOf(bytes, random)), bytes);
    const mutated = mutateJson(json, random);
    assert.ok(mutated !== null);
    JSON.parse(textOf(mutated));
    if (Object.hasOwn(JSON.parse(textOf(mutated)) ?? {}, "__proto__")) odd++;
  }
  assert.ok(odd > 5, "now and then with a key called __proto__");
});
