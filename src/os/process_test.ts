import assert from "node:assert/strict";
import { poll } from "../../tests/support/poll.ts";
import { processState } from "../../tests/support/process_table.ts";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import {
  MAX_OUTPUT_BYTES,
  run,
  runOk,
  spawnTool,
  ToolFailedError,
  ToolMissingError,
  ToolTimeoutError,
} from "./process.ts";

/** Bound for tests that must not hang; far above what any of them needs. */
const DEADLINE_MS = 30_000;

function readIfThere(file: string): string | null {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    return null;
  }
}

Deno.test("run() returns the exit status and both outputs", async () => {
  const result = await run(["sh", "-c", "echo out; echo err >&2; exit 7"], {
    deadlineMs: DEADLINE_MS,
  });
  assert.deepEqual(result, { code: 7, stdout: "out\n", stderr: "err\n", droppedBytes: 0 });
});

Deno.test("run() passes standard input and environment", async () => {
  const result = await run(["sh", "-c", "cat; echo $COLOUR"], {
    deadlineMs: DEADLINE_MS,
    stdin: "é\n",
    env: { COLOUR: "blue" },
  });
  assert.equal(result.stdout, "é\nblue\n");
});

Deno.test("run() names the package of a missing tool", async () => {
  await assert.rejects(
    run(["relais-no-such-tool"], { deadlineMs: DEADLINE_MS }),
    (e: unknown) => e instanceof ToolMissingError && e.tool === "relais-no-such-tool",
  );
  assert.match(new ToolMissingError("ip").message, /apt install iproute2/);
});

Deno.test("run() kills a program at its deadline", async () => {
  await assert.rejects(run(["sleep", "600"], { deadlineMs: 50 }), ToolTimeoutError);
});

Deno.test("run() kills the program when the signal aborts", async () => {
  const abort = new AbortController();
  const running = run(["sleep", "600"], { deadlineMs: DEADLINE_MS, signal: abort.signal });
  abort.abort();
  await assert.rejects(running, { name: "AbortError" });
  await assert.rejects(
    run(["true"], { deadlineMs: DEADLINE_MS, signal: abort.signal }),
    { name: "AbortError" },
  );
});

Deno.test("run() does not wait for a grandchild that holds the pipes", async () => {
  // The grandchild inherits all three; it is ended through the pid that it printed.
  const result = await run(["sh", "-c", "exec 3<&0; sleep 600 <&3 & echo $!"], {
    deadlineMs: DEADLINE_MS,
    stdin: "never read\n",
  });
  const pid = Number(result.stdout);
  assert.ok(Number.isInteger(pid) && pid > 1, `pid ${result.stdout}`);
  assert.equal(result.code, 0);
  // It is still alive: run() did not merely outlast it.
  Deno.kill(pid, "SIGKILL");
});

Deno.test("run() with a group of its own kills all that the program started, at the deadline", async () => {
  using directory = new TempDirectory();
  const file = `${directory.path}/pid`;
  // Both the program and what it left behind would outlast this test.
  const script = `sleep 600 & echo $! > ${file}.new; mv ${file}.new ${file}; wait`;
  const abort = new AbortController();
  const running = run(["sh", "-c", script], {
    deadlineMs: DEADLINE_MS,
    ownGroup: true,
    signal: abort.signal,
  });
  running.catch(() => {}); // Judged below.
  const pid = Number(await poll(() => readIfThere(file), { deadlineMs: DEADLINE_MS, what: file }));
  assert.ok(processState(pid) !== null, "it runs");
  abort.abort();
  await assert.rejects(running, { name: "AbortError" });
  await poll(() => [null, "Z", "X"].includes(processState(pid)), {
    deadlineMs: DEADLINE_MS,
    what: `the end of process ${pid}`,
  });
});

Deno.test("run() with clearEnv gives the program nothing of our own environment", async () => {
  const result = await run(["env"], {
    deadlineMs: DEADLINE_MS,
    env: { PATH: "/usr/bin:/bin", COLOUR: "blue" },
    clearEnv: true,
  });
  assert.deepEqual(result.stdout.trim().split("\n").sort(), ["COLOUR=blue", "PATH=/usr/bin:/bin"]);
});

Deno.test("run() keeps the first MAX_OUTPUT_BYTES and counts the rest", async () => {
  const extra = 300_000;
  const result = await run(["head", "-c", String(MAX_OUTPUT_BYTES + extra), "/dev/zero"], {
    deadlineMs: DEADLINE_MS,
  });
  assert.equal(result.code, 0);
  assert.equal(result.stdout.length, MAX_OUTPUT_BYTES);
  assert.equal(result.droppedBytes, extra);
});

Deno.test("run() survives a program that does not read its input", async () => {
  const result = await run(["sh", "-c", "exit 3"], {
    deadlineMs: DEADLINE_MS,
    stdin: "x".repeat(4 * 1024 * 1024),
  });
  assert.equal(result.code, 3);
});

Deno.test("runOk() turns another exit status than 0 into an error that quotes the program", async () => {
  await assert.rejects(
    runOk(["sh", "-c", "echo bad luck >&2; exit 2"], { deadlineMs: DEADLINE_MS }),
    (e: unknown) =>
      e instanceof ToolFailedError && e.result.code === 2 &&
      /exited with 2: bad luck/.test(e.message),
  );
});

Deno.test("spawnTool() says which tool is missing", () => {
  assert.throws(() => spawnTool("relais-no-such-tool", {}), ToolMissingError);
});
