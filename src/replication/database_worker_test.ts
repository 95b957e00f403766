import assert from "node:assert/strict";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { DatabaseWorker, DatabaseWorkerError } from "./database_client.ts";
import { parseWorkerArguments, workerArguments } from "./database_protocol.ts";

const MAIN = new URL("../../tests/support/database_worker_main.ts", import.meta.url).pathname;
const BROKEN_MAIN =
  new URL("../../tests/support/database_worker_broken_main.ts", import.meta.url).pathname;
const NOWHERE = { socketDir: "/nonexistent", port: 5432, role: "x", database: "x" };
const COMMAND = [Deno.execPath(), "run", "-A", "--quiet", MAIN];

function env(): Record<string, string> {
  return Deno.env.toObject();
}

async function talk(
  input: Uint8Array,
  args = workerArguments(NOWHERE),
): Promise<Deno.CommandOutput> {
  const child = new Deno.Command(COMMAND[0] ?? "", {
    args: [...COMMAND.slice(1), ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(input);
  await writer.close();
  return await child.output();
}

Deno.test("parseWorkerArguments() reads what workerArguments() writes and nothing else", () => {
  const [verb, ...args] = workerArguments(NOWHERE);
  assert.equal(verb, "database-worker");
  assert.deepEqual(parseWorkerArguments(args), NOWHERE);
  for (const bad of [[], ["{}"], ["null"], [...args, "x"]]) {
    assert.throws(() => parseWorkerArguments(bad), /by hand/);
  }
});

Deno.test("databaseWorkerMain() ends when its input closes", async () => {
  const { code, stdout } = await talk(new Uint8Array());
  assert.equal(code, 0);
  assert.equal(stdout.length, 0);
});

Deno.test("databaseWorkerMain() refuses operations that it does not know", async () => {
  const worker = DatabaseWorker.start({
    command: [...COMMAND, ...workerArguments(NOWHERE)],
    user: {},
    env: env(),
  });
  try {
    for (const op of ["query", "constructor"]) {
      await assert.rejects(
        worker.request(op as "cleanup", {}, { deadlineMs: 10_000 }),
        /Cannot do the unknown operation/,
      );
    }
  } finally {
    await worker.close();
  }
});

Deno.test("DatabaseWorker tells how its worker died", async () => {
  const worker = DatabaseWorker.start({
    command: ["sh", "-c", "echo broken >&2; exit 3"],
    user: {},
    env: env(),
  });
  await assert.rejects(
    worker.request("cleanup", {}, { deadlineMs: 10_000 }),
    (error) =>
      error instanceof DatabaseWorkerError && /exit status 3\): broken/.test(error.message),
  );
  await worker.close();
});

Deno.test("DatabaseWorker refuses answers that are none", async () => {
  const worker = DatabaseWorker.start({
    command: ["sh", "-c", "echo hello; exec cat"],
    user: {},
    env: env(),
  });
  await assert.rejects(
    worker.request("cleanup", {}, { deadlineMs: 10_000 }),
    /answers nonsense: SyntaxError/,
  );
  await worker.close();
});

Deno.test("DatabaseWorker ends a worker that does not answer when it is aborted", async () => {
  const stop = new AbortController();
  const worker = DatabaseWorker.start({ command: ["sleep", "1000"], user: {}, env: env() });
  const asked = worker.request("cleanup", {}, { deadlineMs: 60_000, signal: stop.signal });
  stop.abort(new Error("enough"));
  await assert.rejects(asked, /enough/);
  await worker.close();
});

Deno.test("databaseWorkerMain() fails loudly on input that is no request", async () => {
  const { code } = await talk(new TextEncoder().encode("hello\n"));
  assert.notEqual(code, 0);
});

for (const fault of ["rejection", "exception"]) {
  Deno.test(`databaseWorkerMain() ends with a message and a status of its own at an uncaught ${fault}`, async () => {
    using directory = new TempDirectory();
    // A server that never says anything: the operation is in progress when the error comes.
    using _silent = Deno.listen({ transport: "unix", path: `${directory.path}/.s.PGSQL.5432` });
    const address = { ...NOWHERE, socketDir: directory.path };
    const worker = DatabaseWorker.start({
      command: [Deno.execPath(), "run", "-A", "--quiet", BROKEN_MAIN, fault].concat(
        workerArguments(address),
      ),
      user: {},
      env: env(),
    });
    try {
      await assert.rejects(
        worker.request("cleanup", {}, { deadlineMs: 60_000 }),
        (error) =>
          error instanceof DatabaseWorkerError &&
          /ended \(exit status 70\): internal error: Error: nobody awaits this/.test(error.message),
      );
      // Whoever asks on hears the same.
      await assert.rejects(worker.request("cleanup", {}, { deadlineMs: 60_000 }), /status 70/);
    } finally {
      await worker.close();
    }
  });
}
