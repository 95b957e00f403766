import assert from "node:assert/strict";
import { systemClock } from "./clock.ts";
import { FileLock } from "./file_lock.ts";
import { libc } from "./libc.ts";
import { spawnTool } from "./process.ts";

// Opened here, as it stays open: inside a test it would count as a leak.
libc();

async function inFolder(body: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "rlk" });
  try {
    await body(`${folder}/some.lock`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Takes the lock as soon as nobody else has it. */
async function takeSoon(path: string): Promise<FileLock> {
  for (
    const end = performance.now() + 20_000;
    performance.now() < end;
    await systemClock.sleep(5)
  ) {
    const lock = FileLock.tryTake(path);
    if (lock !== null) return lock;
  }
  return assert.fail("the lock was not given back in 20 s");
}

/** Another process that holds the lock, and a child of it that outlives it. */
async function otherHolder(path: string): Promise<{ process: Deno.ChildProcess; child: number }> {
  const module = new URL("./file_lock.ts", import.meta.url).href;
  const program = `const { FileLock } = await import(${JSON.stringify(module)});
    if (FileLock.tryTake(Deno.args[0]) === null) Deno.exit(3);
    const child = new Deno.Command("sleep", { args: ["60"], stdin: "null", stdout: "null",
      stderr: "null" }).spawn();
    console.log(child.pid);
    await new Promise((resolve) => setTimeout(resolve, 60_000));`;
  const file = `${path}.ts`;
  await Deno.writeTextFile(file, program);
  const process = spawnTool(Deno.execPath(), {
    args: ["run", "-A", "--quiet", file, path],
    stdin: "null",
    stdout: "piped",
  });
  const reader = process.stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return { process, child: Number(new TextDecoder().decode(value)) };
}

Deno.test("FileLock is held by one at a time and stays with the file", async () => {
  await inFolder(async (path) => {
    const first = FileLock.tryTake(path);
    assert.ok(first !== null);
    assert.equal(FileLock.tryTake(path), null);
    first.release();
    first.release();
    (await takeSoon(path)).release();
    const { mode, size } = await Deno.stat(path);
    assert.deepEqual([(mode ?? 0) & 0o777, size], [0o600, 0]);
  });
});

Deno.test("FileLock ends with the last of the killed process and what it had started", async () => {
  await inFolder(async (path) => {
    const { process, child } = await otherHolder(path);
    assert.equal(FileLock.tryTake(path), null);
    process.kill("SIGKILL");
    await process.status;
    assert.equal(FileLock.tryTake(path), null, "its child may still be at work");
    Deno.kill(child, "SIGKILL");
    (await takeSoon(path)).release();
  });
});

Deno.test("FileLock.tryTake() says why there is no lock", () => {
  assert.throws(
    () => FileLock.tryTake("/nonexistent/x.lock"),
    /^Error: Cannot open \/nonexistent\/x\.lock as the kernel says ENOENT$/,
  );
});
