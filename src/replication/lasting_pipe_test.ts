import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { SEED } from "../../tests/support/seed.ts";
import { systemClock } from "../os/clock.ts";
import { ByteReader } from "./byte_reader.ts";
import { encodeFrame, encodeStatus, FRAME } from "./lasting_frames.ts";
import { LastingPipe, LastingPipeError, WINDOW_BYTES } from "./lasting_pipe.ts";

/** Joins two pipes by a connection that breaks after so many bytes in either direction. */
function join(
  a: LastingPipe,
  b: LastingPipe,
  options: { first: boolean; breakAfter: number },
): void {
  let left = options.breakAfter;
  let broken = false;
  const through = (): TransformStream<Uint8Array, Uint8Array> =>
    new TransformStream({
      transform(bytes, controller): void {
        left -= bytes.length;
        // A part of what was written still arrives: a frame is cut anywhere.
        if (left < 0) {
          broken = true;
          controller.enqueue(bytes.slice(0, Math.max(0, bytes.length + left)));
          controller.terminate();
        } else controller.enqueue(bytes);
      },
    });
  const [there, back] = [through(), through()];
  const carrier = (pipe: LastingPipe, from: typeof there, to: typeof there): void => {
    const writer = to.writable.getWriter();
    writer.closed.catch(() => {});
    pipe.attach({
      reader: new ByteReader(from.readable, { clock: systemClock, idleMs: 60_000 }),
      write: async (bytes) => {
        if (broken) throw new Error("broken");
        await writer.write(bytes);
      },
      close: () => {
        broken = true;
        writer.abort(new Error("closed")).catch(() => {});
      },
      otherHasRead: options.first ? 0 : null,
    });
  };
  carrier(a, back, there);
  carrier(b, there, back);
}

async function writeAll(pipe: LastingPipe, bytes: Uint8Array, step: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += step) await pipe.write(bytes.subarray(at, at + step));
  pipe.end(7);
}

function noise(length: number, salt: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 17 + salt) & 255);
}

Deno.test(`LastingPipe carries both streams whole over connections that break anywhere (seed ${SEED})`, async () => {
  let breaks = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 90_000 }), { maxLength: 12 }),
      fc.integer({ min: 1, max: 200_000 }),
      fc.integer({ min: 500, max: 70_000 }),
      async (cuts, length, step) => {
        const left = [...cuts];
        let first = true;
        const again = (): void => {
          const breakAfter = left.shift() ?? Infinity;
          if (breakAfter !== Infinity) breaks++;
          const isFirst = first;
          first = false;
          join(a, b, { first: isFirst, breakAfter });
        };
        // Both see the break; one of them dials.
        const a = new LastingPipe({ clock: systemClock, onBroken: () => queueMicrotask(again) });
        const b = new LastingPipe({ clock: systemClock });
        again();
        const [up, down] = [noise(length, 1), noise(length >> 3, 2)];
        const writing = Promise.all([writeAll(a, up, step), writeAll(b, down, step)]);
        const [atB, atA] = await Promise.all([
          new Response(b.readable as ReadableStream<Uint8Array<ArrayBuffer>>).bytes(),
          new Response(a.readable as ReadableStream<Uint8Array<ArrayBuffer>>).bytes(),
        ]);
        await writing;
        assert.deepEqual([await a.ended, await b.ended], [7, 7]);
        assert.ok(Buffer.compare(atB, up) === 0 && Buffer.compare(atA, down) === 0);
        await Promise.all([a, b].map((pipe) => pipe.allRead(AbortSignal.timeout(60_000))));
        for (const pipe of [a, b]) pipe.fail(new Error("over"));
      },
    ),
    { seed: SEED, numRuns: 60 },
  );
  assert.ok(breaks > 100, `${breaks} connections were broken`);
});

Deno.test("LastingPipe: a break is never an end, and what waits for too long fails", async () => {
  const a = new LastingPipe({ clock: systemClock, patienceMs: 50 });
  const b = new LastingPipe({ clock: systemClock, patienceMs: 50 });
  join(a, b, { first: true, breakAfter: 3000 });
  await a.write(noise(10_000, 3));
  await assert.rejects(new Response(b.readable as ReadableStream<Uint8Array<ArrayBuffer>>).bytes());
  await assert.rejects(b.ended, LastingPipeError);
  await assert.rejects(b.ended, /the connection broke and did not come back within 0.05 s/);
  a.fail(new Error("over"));
});

Deno.test("LastingPipe keeps a bounded window, and its writer waits behind it", async () => {
  const pipe = new LastingPipe({ clock: systemClock });
  let written = 0;
  const writing = (async (): Promise<void> => {
    for (;;) {
      await pipe.write(new Uint8Array(65_536));
      written += 65_536;
    }
  })();
  writing.catch(() => {});
  const deadline = AbortSignal.timeout(30_000);
  while (written < WINDOW_BYTES) await systemClock.sleep(5, deadline);
  await systemClock.sleep(20);
  assert.equal(written, WINDOW_BYTES, "it went on behind the window");
  pipe.fail(new Error("over"));
  await assert.rejects(writing, /over/);
});

Deno.test("LastingPipe: who gives up is heard, and hears what came of it", async () => {
  const a = new LastingPipe({ clock: systemClock });
  const b = new LastingPipe({ clock: systemClock });
  join(a, b, { first: true, breakAfter: Infinity });
  await a.write(noise(100, 4));
  const reading = new Response(b.readable as ReadableStream<Uint8Array<ArrayBuffer>>).bytes();
  a.giveUp("pg_dump exited with 1");
  await assert.rejects(reading, /the sender gave up: pg_dump exited with 1/);
  await b.write(new TextEncoder().encode("it failed\n"));
  b.end(65);
  assert.equal(
    await new Response(a.readable as ReadableStream<Uint8Array<ArrayBuffer>>).text(),
    "it failed\n",
  );
  assert.equal(await a.ended, 65);
  for (const pipe of [a, b]) pipe.fail(new Error("over"));
});

Deno.test("LastingPipe keeps nothing of frames that cost their sender nothing", async () => {
  const end = encodeFrame(FRAME.end, encodeStatus(0));
  const empty = encodeFrame(FRAME.data, new Uint8Array(0));
  const gaveUp = encodeFrame(FRAME.gaveUp, new TextEncoder().encode("no"));
  for (const flood of [empty, end, gaveUp]) {
    let sent = 0;
    const frames = new ReadableStream<Uint8Array>({
      pull(controller): void {
        // Nobody reads the pipe: without a bound it would take them for ever.
        if (sent++ === 10_000) controller.close();
        else controller.enqueue(flood);
      },
    }, { highWaterMark: 0 });
    const closed = Promise.withResolvers<void>();
    const pipe = new LastingPipe({ clock: systemClock });
    pipe.attach({
      reader: new ByteReader(frames, { clock: systemClock, idleMs: 60_000 }),
      write: () => Promise.resolve(),
      close: () => closed.resolve(),
      otherHasRead: null,
    });
    await closed.promise;
    assert.ok(sent < 10, `${sent} frames were taken`);
    pipe.fail(new Error("over"));
  }
});
