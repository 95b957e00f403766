import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { systemClock } from "../os/clock.ts";
import type { SetHeader } from "./set_header.ts";
import { Pace } from "./pace.ts";
import { readSetStream, SetStreamError, writeSetStream } from "./stream.ts";

const HEADER: SetHeader = {
  version: 1,
  set: "astdb",
  epoch: 7,
  origin: "master",
  snapshotWallMs: 1_700_000_000_000,
  fingerprint: "f".repeat(64),
  detail: { format: "sqlite", pages: 12 },
};

/** Everything that is written to it, in one piece. */
function collector(): { sink: WritableStream<Uint8Array>; bytes: () => Uint8Array } {
  const parts: Uint8Array[] = [];
  const sink = new WritableStream<Uint8Array>({
    write(chunk): void {
      parts.push(chunk.slice());
    },
  });
  return { sink, bytes: () => new Uint8Array(parts.flatMap((part) => [...part])) };
}

function chunks(bytes: Uint8Array, sizes: readonly number[]): ReadableStream<Uint8Array> {
  let at = 0;
  let turn = 0;
  return new ReadableStream({
    pull(controller): void {
      if (at >= bytes.length) return controller.close();
      const size = sizes.length === 0 ? bytes.length : sizes[turn++ % sizes.length]!;
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}

async function encode(payload: Uint8Array, sizes: readonly number[] = []): Promise<Uint8Array> {
  const { sink, bytes } = collector();
  await writeSetStream(sink, HEADER, chunks(payload, sizes), { clock: systemClock });
  return bytes();
}

async function decode(
  bytes: Uint8Array,
  sizes: readonly number[] = [],
): Promise<{ header: SetHeader; payload: Uint8Array; sha256: string }> {
  const set = await readSetStream(chunks(bytes, sizes), { clock: systemClock });
  const payload = new Uint8Array(await new Response(set.payload).arrayBuffer());
  return { header: set.header, payload, sha256: (await set.done).sha256 };
}

Deno.test("readSetStream() gives back what writeSetStream() was given, however the pipe cuts it", async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), sizes, sizes, async (payload, w, r) => {
      const result = await decode(await encode(payload, w), r);
      assert.deepEqual(result.header, HEADER);
      assert.deepEqual(result.payload, payload);
      assert.equal(result.sha256, createHash("sha256").update(payload).digest("hex"));
    }),
    { numRuns: 60 },
  );
});

Deno.test("readSetStream() refuses a stream cut at any byte", async () => {
  const whole = await encode(new Uint8Array(150).map((_, i) => i), [70]);
  for (let cut = 0; cut < whole.length; cut++) {
    await assert.rejects(decode(whole.subarray(0, cut), [64]), SetStreamError, `cut at ${cut}`);
  }
  await decode(whole);
});

Deno.test("readSetStream() refuses a payload with any byte changed, or bytes behind the trailer", async () => {
  const whole = await encode(new Uint8Array(100).fill(65));
  const first = whole.indexOf(10) + 5; // Behind the header line and the first length.
  for (let at = first; at < first + 100; at += 7) {
    const damaged = whole.slice();
    damaged[at]! ^= 1;
    await assert.rejects(decode(damaged), SetStreamError);
  }
  await assert.rejects(decode(new Uint8Array([...whole, 0])), /more bytes follow/);
});

Deno.test("readSetStream() refuses headers that are not exactly the format, and endless lines", async () => {
  const bad = [
    "hello",
    "null",
    JSON.stringify({ ...HEADER, version: 2 }),
    JSON.stringify({ ...HEADER, set: "passwd" }),
    JSON.stringify({ ...HEADER, epoch: -1 }),
    JSON.stringify({ ...HEADER, origin: "other" }),
    JSON.stringify({ ...HEADER, extra: 1 }),
    JSON.stringify({ ...HEADER, fingerprint: "a\u0000b" }),
    "x".repeat(20_000),
  ];
  for (const line of bad) {
    await assert.rejects(decode(new TextEncoder().encode(line + "\n")), SetStreamError);
  }
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller): void {
      pulled += 1;
      controller.enqueue(new Uint8Array(4096).fill(120));
    },
  });
  await assert.rejects(readSetStream(endless, { clock: systemClock }), SetStreamError);
  assert.ok(pulled < 20, `read ${pulled} chunks of an endless line`);
});

Deno.test("readSetStream() refuses a frame above 1 MiB without reading it", async () => {
  const header = new TextEncoder().encode(JSON.stringify(HEADER) + "\n");
  await assert.rejects(decode(new Uint8Array([...header, 0x7f, 0, 0, 0])), /frame of/);
});

Deno.test("readSetStream() ends with the reason of its signal, also while it waits", async () => {
  const reason = new Error("asked to end");
  const bytes = await encode(new Uint8Array(1000));
  const silentAfter = (length: number): ReadableStream<Uint8Array> =>
    new ReadableStream({ start: (controller) => controller.enqueue(bytes.slice(0, length)) });
  const stop = new AbortController();
  const options = { clock: systemClock, signal: stop.signal };
  const header = readSetStream(silentAfter(10), options);
  const cut = await readSetStream(silentAfter(bytes.length - 400), options);
  const payload = new Response(cut.payload).arrayBuffer();
  const ends = [header, payload, cut.done].map((end) => assert.rejects(end, reason));
  stop.abort(reason);
  await Promise.all(ends);
  await assert.rejects(readSetStream(silentAfter(10), options), reason);
});

Deno.test("readSetStream() gives up on a silent pipe", async () => {
  const silent = new ReadableStream<Uint8Array>({});
  await assert.rejects(
    readSetStream(silent, { clock: systemClock, idleMs: 20 }),
    /nothing was heard/,
  );
});

Deno.test("writeSetStream() leaves the stream cut when the payload or its source fails", async () => {
  const failing = new ReadableStream<Uint8Array>({
    start(controller): void {
      controller.enqueue(new Uint8Array(10));
    },
    pull(controller): void {
      controller.error(new Error("pg_dump died"));
    },
  });
  const first = collector();
  await assert.rejects(
    writeSetStream(first.sink, HEADER, failing, { clock: systemClock }),
    /pg_dump died/,
  );
  await assert.rejects(decode(first.bytes()), SetStreamError);

  const second = collector();
  await assert.rejects(
    writeSetStream(second.sink, HEADER, chunks(new Uint8Array(9), []), {
      clock: systemClock,
      complete: Promise.reject(new Error("exit status 1")),
    }),
    /exit status 1/,
  );
  await assert.rejects(decode(second.bytes()), SetStreamError);
});

Deno.test("writeSetStream() splits large chunks into frames and keeps the pace asked for", async () => {
  let now = 0;
  const slept: number[] = [];
  const clock = {
    nowMs: () => now,
    wallMs: () => 0,
    sleep(ms: number): Promise<void> {
      slept.push(ms);
      now += ms;
      return Promise.resolve();
    },
  };
  const seen: number[] = [];
  let written = 0;
  const sink = new WritableStream<Uint8Array>({
    write(chunk): void {
      written += chunk.length;
    },
  });
  const trailer = await writeSetStream(sink, HEADER, chunks(new Uint8Array(3_000_000), []), {
    clock,
    pace: new Pace({ bytesPerSecond: 1_000_000, clock }),
    onProgress: ({ bytes }) => seen.push(bytes),
  });
  assert.equal(trailer.size, 3_000_000);
  assert.equal(seen.length, 30, "in parts of a tenth of a second");
  assert.equal(Math.round(now), 3000);
  assert.ok(written > 3_000_000);
});

Deno.test("writeSetStream() ends at once when aborted, without a trailer", async () => {
  const abort = new AbortController();
  const { sink, bytes } = collector();
  const endless = new ReadableStream<Uint8Array>({
    pull(controller): void {
      controller.enqueue(new Uint8Array(10));
      abort.abort(new Error("no longer active"));
    },
  });
  await assert.rejects(
    writeSetStream(sink, HEADER, endless, { clock: systemClock, signal: abort.signal }),
    /no longer active/,
  );
  await assert.rejects(decode(bytes()), SetStreamError);
});
