import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { encodeLine, LineTooLongError, readLines } from "./json_lines.ts";

async function lines(bytes: Uint8Array, step: number, maxBytes = 1000): Promise<string[]> {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += step) chunks.push(bytes.subarray(at, at + step));
  return await Array.fromAsync(readLines(ReadableStream.from(chunks), maxBytes));
}

Deno.test("readLines() gives back every line however the bytes are cut", async () => {
  const texts = fc.array(fc.string({ unit: "grapheme", maxLength: 40 }));
  await fc.assert(fc.asyncProperty(texts, fc.integer({ min: 1, max: 9 }), async (values, step) => {
    const bytes = new Uint8Array(await new Blob(values.map(encodeLine)).arrayBuffer());
    const read = await lines(bytes, step, 10_000);
    assert.deepEqual(read.map((line) => JSON.parse(line)), values);
  }));
});

Deno.test("readLines() drops a last line that was not finished", async () => {
  assert.deepEqual(await lines(new TextEncoder().encode("one\ntw"), 2), ["one"]);
});

Deno.test("readLines() refuses a line without end", async () => {
  await assert.rejects(lines(new Uint8Array(2000).fill(65), 100), LineTooLongError);
});

Deno.test("readLines() refuses a line that is too long also when it comes in one piece", async () => {
  const text = new TextEncoder().encode(`${"x".repeat(101)}\nshort\n`);
  for (const step of [1, 7, 1000]) {
    await assert.rejects(lines(text, step, 100), LineTooLongError);
    assert.equal((await lines(text, step, 101)).length, 2);
  }
});
