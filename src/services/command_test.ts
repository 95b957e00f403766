import assert from "node:assert/strict";
import { systemClock } from "../os/clock.ts";
import { CommandDriver } from "./command.ts";
import { ServiceError } from "./service_error.ts";

const DEADLINES = { startDeadlineMs: 30_000, stopDeadlineMs: 30_000 };

/** Scripts in a directory of their own, run by their absolute paths. */
class Scripts {
  private constructor(readonly dir: string) {}

  static async make(bodies: Readonly<Record<string, string>>): Promise<Scripts> {
    const dir = await Deno.makeTempDir({ prefix: "relais-command-" });
    for (const [name, body] of Object.entries(bodies)) {
      await Deno.writeTextFile(`${dir}/${name}`, `#!/bin/sh\ncd "${dir}"\n${body}\n`, {
        mode: 0o755,
      });
    }
    return new Scripts(dir);
  }

  driver(deadlines = DEADLINES): CommandDriver {
    const [start, stop, status] = ["start", "stop", "status"].map((name) => [
      `${this.dir}/${name}`,
      "an argument",
    ]);
    assert.ok(start && stop && status);
    return new CommandDriver({ start, stop, status }, deadlines);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.dir, { recursive: true });
  }
}

/** A service as operators write it: a background child that keeps the outputs of the start command. */
const SERVICE = {
  start: '[ "$1" = "an argument" ] || exit 9\nsleep 300 &\necho $! > pid\necho started',
  stop: "[ -e pid ] && kill $(cat pid)\nrm -f pid\nexit 0",
  status: "[ -e pid ] && kill -0 $(cat pid)",
};

async function messageOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof ServiceError, String(error));
    return error.message;
  }
  assert.fail("must throw");
}

Deno.test("CommandDriver starts, reads and stops a service that stays in the background", async () => {
  await using scripts = await Scripts.make(SERVICE);
  const driver = scripts.driver();
  assert.equal(await driver.running(), "none");
  const said: string[] = [];
  await driver.start({ onUnit: (text) => said.push(text) });
  assert.equal(await driver.running(), "all");
  const pid = await Deno.readTextFile(`${scripts.dir}/pid`);
  await driver.start();
  assert.equal(await Deno.readTextFile(`${scripts.dir}/pid`), pid, "a second start does nothing");
  await driver.stop({ onUnit: (text) => said.push(text) });
  assert.equal(await driver.running(), "none");
  await driver.stop();
  assert.deepEqual(said, ["services started", "services stopped"]);
});

Deno.test("CommandDriver leaves the service no pipe that breaks when relais ends", async () => {
  await using scripts = await Scripts.make(SERVICE);
  const driver = scripts.driver();
  await driver.start();
  try {
    const pid = (await Deno.readTextFile(`${scripts.dir}/pid`)).trim();
    for (const fd of [0, 1, 2]) {
      assert.equal(await Deno.readLink(`/proc/${pid}/fd/${fd}`), "/dev/null");
    }
  } finally {
    await driver.stop();
  }
});

Deno.test("CommandDriver.start() tells the exit status and the command", async () => {
  await using scripts = await Scripts.make({ ...SERVICE, start: "exit 3" });
  assert.match(
    await messageOf(scripts.driver().start()),
    /^Cannot start the services as the start command ".*\/start an argument" exited with 3/,
  );
});

Deno.test("CommandDriver.start() does not believe a start that the status command denies", async () => {
  await using scripts = await Scripts.make({ ...SERVICE, start: "exit 0" });
  assert.match(
    await messageOf(scripts.driver().start()),
    /status command says that they do not run/,
  );
});

Deno.test("CommandDriver.stop() does not believe a stop that the status command denies", async () => {
  await using scripts = await Scripts.make({ ...SERVICE, status: "exit 0" });
  assert.match(await messageOf(scripts.driver().stop()), /status command says that they still run/);
});

Deno.test("CommandDriver.start() kills the command at its deadline", async () => {
  await using scripts = await Scripts.make({ ...SERVICE, start: "exec sleep 300" });
  const driver = scripts.driver({ ...DEADLINES, startDeadlineMs: 200 });
  assert.match(await messageOf(driver.start()), /took longer than 200 ms/);
});

Deno.test("CommandDriver.start() ends when aborted", async () => {
  await using scripts = await Scripts.make({ ...SERVICE, start: "touch begun\nexec sleep 300" });
  const abort = new AbortController();
  const started = scripts.driver().start({ signal: abort.signal });
  const begun = async (): Promise<boolean> => {
    return await Deno.stat(`${scripts.dir}/begun`).then(() => true, () => false);
  };
  const end = performance.now() + 20_000;
  while (!await begun()) {
    assert.ok(performance.now() < end, "the start command did not begin");
    await systemClock.sleep(5);
  }
  abort.abort();
  await assert.rejects(started, { name: "AbortError" });
});

Deno.test("CommandDriver names a missing program", async () => {
  await using scripts = await Scripts.make({ start: "exit 0", stop: "exit 0" });
  assert.match(
    await messageOf(scripts.driver().running()),
    /Cannot read the state.*status.*not installed/,
  );
});
