import assert from "node:assert/strict";
import { ToolMissingError } from "../os/process.ts";
import { openJoint } from "../os/joint.ts";
import { startPipeline } from "./database_pipeline.ts";
import type { Pipeline, Stage } from "./database_pipeline.ts";

const ENV = { PATH: "/usr/bin:/bin" };

function chain(
  argvs: readonly (readonly string[])[],
  more: {
    input?: ReadableStream<Uint8Array>;
    signal?: AbortSignal;
    paceBytesPerSecond?: number;
    joint?: Awaited<ReturnType<typeof openJoint>>;
  } = {},
): Pipeline {
  const stages: Stage[] = argvs.map((argv) => ({ argv, env: ENV }));
  return startPipeline({ stages, user: {}, signal: new AbortController().signal, ...more });
}

async function outcome(pipeline: Pipeline): Promise<string> {
  const [text, done] = await Promise.allSettled([
    new Response(pipeline.output).text(),
    pipeline.done,
  ]);
  if (done.status === "rejected") throw done.reason;
  return text.status === "fulfilled" ? text.value : String(text.reason);
}

Deno.test("startPipeline() feeds each program with the output of the one before", async () => {
  const input = new Blob(["b\na\n"]).stream();
  assert.equal(await outcome(chain([["sort"], ["tr", "a-z", "A-Z"]], { input })), "A\nB\n");
});

Deno.test("startPipeline() fails when any of the programs fails", async () => {
  for (const argvs of [[["false"], ["cat"]], [["true"], ["false"]]]) {
    await assert.rejects(outcome(chain(argvs)), /false exited with 1: \(no message\)/);
  }
  await assert.rejects(
    outcome(chain([["ls", "/nowhere"], ["cat"]])),
    /ls exited with 2: .*cannot access/,
  );
});

Deno.test("startPipeline() fails when a program does not take all of its input", async () => {
  const input = new Blob([new Uint8Array(2_000_000)]).stream();
  await assert.rejects(outcome(chain([["cat"], ["true"]], { input })), /cat|all of the data/);
});

Deno.test("startPipeline() passes large data at the pace of the reader", async () => {
  const size = 20_000_000;
  const pipeline = chain([["head", "-c", String(size), "/dev/zero"], ["cat"]]);
  let bytes = 0;
  for await (const chunk of pipeline.output) bytes += chunk.length;
  await pipeline.done;
  assert.equal(bytes, size);
});

Deno.test("startPipeline() keeps the first program to the pace", async () => {
  const from = performance.now();
  const bytes = 1_000_000;
  const source = ["head", "-c", String(bytes), "/dev/zero"];
  const pipeline = chain([source, ["cat"]], { paceBytesPerSecond: 5_000_000 });
  assert.equal((await outcome(pipeline)).length, bytes);
  // At least this long, less the burst; a slow machine only takes longer.
  assert.ok(performance.now() - from >= 140);
});

Deno.test("startPipeline() ends every program when it is aborted", async () => {
  const stop = new AbortController();
  const pipeline = chain([["sleep", "1000"], ["cat"]], { signal: stop.signal });
  const outcomes = outcome(pipeline);
  stop.abort(new Error("enough"));
  await assert.rejects(outcomes, /enough/);
});

Deno.test({
  name: "startPipeline() names a missing program and ends the others",
  // It throws at once; the programs that it kills are gone a moment later.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(): Promise<void> {
    const input = new Blob(["x"]).stream();
    assert.throws(() => chain([["cat"], ["relais-no-such-tool"]], { input }), ToolMissingError);
    await input.cancel();
  },
});

Deno.test("startPipeline() does not wait for an input that pauses once a program has failed", async () => {
  const cancelled = Promise.withResolvers<void>();
  const input = new ReadableStream<Uint8Array>({
    // One piece, then silence: the line is down.
    start: (controller) => controller.enqueue(new TextEncoder().encode("one\n")),
    cancel: () => cancelled.resolve(),
  });
  await assert.rejects(outcome(chain([["cat"], ["false"]], { input })), /false exited with 1/);
  await cancelled.promise;
});

Deno.test("startPipeline() hands lines of a program to who asked, and keeps what is an error", async () => {
  const lines: string[] = [];
  const onErrorLine = (line: string): boolean => lines.push(line) > 0 && line.startsWith("note");
  const argv = ["sh", "-c", "echo note 1 >&2; echo trouble >&2; exit 3"];
  const stages = [{ argv, env: ENV, onErrorLine }];
  const signal = new AbortController().signal;
  await assert.rejects(
    outcome(startPipeline({ stages, user: {}, signal })),
    /sh exited with 3: trouble$/,
  );
  assert.deepEqual(lines, ["note 1", "trouble"]);
});

Deno.test("startPipeline() passes the same bytes between joined programs", async () => {
  const text = "0123456789abcde\n".repeat(200_000);
  const input = new Blob([text]).stream();
  const pipeline = chain([["cat"], ["tr", "a-z", "A-Z"]], { input, joint: await openJoint() });
  assert.equal(await outcome(pipeline), text.toUpperCase());
});

Deno.test("startPipeline() fails when either of two joined programs fails", async () => {
  for (const argvs of [[["false"], ["cat"]], [["true"], ["false"]], [["yes"], ["false"]]]) {
    await assert.rejects(
      outcome(chain(argvs, { joint: await openJoint() })),
      /false exited with 1: \(no message\)/,
    );
  }
});

Deno.test("startPipeline() ends a joined program that has nothing to write when its reader died", async () => {
  const pipeline = chain([["sleep", "1000"], ["false"]], { joint: await openJoint() });
  await assert.rejects(outcome(pipeline), /false exited with 1/);
});

Deno.test("startPipeline() does not wait for a paused input once a joined program has failed", async () => {
  const input = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("one\n")),
  });
  const pipeline = chain([["cat"], ["false"]], { input, joint: await openJoint() });
  await assert.rejects(outcome(pipeline), /false exited with 1/);
});

Deno.test("startPipeline() ends joined programs when it is aborted, also before they start", async () => {
  const stop = new AbortController();
  const { signal } = stop;
  const outcomes = outcome(
    chain([["sleep", "1000"], ["cat"]], { signal, joint: await openJoint() }),
  );
  stop.abort(new Error("enough"));
  await assert.rejects(outcomes, /enough/);
  const joint = await openJoint();
  assert.throws(() => chain([["sleep", "1000"], ["cat"]], { signal, joint }), /enough/);
});

Deno.test({
  name: "startPipeline() names a missing program of a joined chain",
  sanitizeOps: false, // As above.
  sanitizeResources: false,
  async fn(): Promise<void> {
    const joint = await openJoint();
    assert.throws(() => chain([["yes"], ["relais-no-such-tool"]], { joint }), ToolMissingError);
  },
});
