import assert from "node:assert/strict";
import { ServiceError } from "./service_error.ts";
import { FakeSystemd } from "./systemd_fixture.ts";

async function errorOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof ServiceError, String(error));
    return error.message;
  }
  assert.fail("must throw");
}

Deno.test("SystemdDriver starts in order, stops in reverse, and reads what runs", async () => {
  await using systemd = await FakeSystemd.make({ "a.service": {}, "b.service": {} });
  const driver = systemd.driver(["a.service", "b.service"]);
  const said: string[] = [];
  const onUnit = (text: string): void => void said.push(text);
  assert.equal(await driver.running(), "none");
  await driver.start({ onUnit });
  assert.equal(await driver.running(), "all");
  await driver.stop({ onUnit });
  assert.equal(await driver.running(), "none");
  assert.deepEqual(await systemd.calls(), [
    "start -- a.service",
    "start -- b.service",
    "stop -- b.service",
    "stop -- a.service",
  ]);
  assert.deepEqual(said, [
    "a.service started",
    "b.service started",
    "b.service stopped",
    "a.service stopped",
  ]);
});

Deno.test("SystemdDriver.states() asks for all units in one call", async () => {
  await using systemd = await FakeSystemd.make({
    "a.service": { ActiveState: "active", SubState: "running", NRestarts: "7" },
    "b.service": { ActiveState: "activating", SubState: "auto-restart" },
  });
  const driver = systemd.driver(["a.service", "b.service"]);
  const states = await driver.states();
  assert.equal(states[0]?.restarts, 7);
  assert.equal(states[1]?.subState, "auto-restart");
  assert.equal(await driver.running(), "some");
  const log = await Deno.readTextFile(`${systemd.dir}/log`);
  assert.match(
    log.split("\n")[0] ?? "",
    /^show --property=Id,LoadState,ActiveState,.*NRestarts,KillSignal -- a\.service b\.service$/,
  );
});

Deno.test("SystemdDriver.start() names the unit that failed, why, and where to look", async () => {
  await using systemd = await FakeSystemd.make({
    "a.service": {},
    "b.service": {},
    "c.service": {},
  });
  await systemd.mark("b.service.fail");
  const driver = systemd.driver(["a.service", "b.service", "c.service"]);
  assert.equal(
    await errorOf(driver.start()),
    "Cannot start b.service as systemctl exited with 1: Job for b.service failed because the " +
      "control process exited with error code. State: failed (exit-code). " +
      "Look: journalctl -u b.service -n 50",
  );
  assert.deepEqual(await systemd.calls(), ["start -- a.service", "start -- b.service"]);
  assert.equal(await driver.running(), "some", "what was started is left to the caller");
});

Deno.test("SystemdDriver.start() gives up on a unit at its deadline", async () => {
  await using systemd = await FakeSystemd.make({ "a.service": { ActiveState: "activating" } });
  await systemd.mark("a.service.hang");
  const driver = systemd.driver(["a.service"], { startDeadlineMs: 200 });
  assert.match(
    await errorOf(driver.start()),
    /^Cannot start a\.service as it was not done within 0\.2 s .*State: activating/,
  );
});

Deno.test("SystemdDriver.start() ends when aborted and starts nothing more", async () => {
  await using systemd = await FakeSystemd.make({ "a.service": {}, "b.service": {} });
  await systemd.mark("b.service.hang");
  const abort = new AbortController();
  const driver = systemd.driver(["a.service", "b.service"]);
  const started = driver.start({
    signal: abort.signal,
    onUnit: () => abort.abort(),
  });
  await assert.rejects(started, { name: "AbortError" });
  assert.deepEqual((await systemd.calls())[0], "start -- a.service");
});

Deno.test("SystemdDriver.start() refuses before it starts anything if a unit is not installed", async () => {
  await using systemd = await FakeSystemd.make({ "a.service": {} });
  const driver = systemd.driver(["a.service", "missing.service"]);
  assert.match(
    await errorOf(driver.start()),
    /^Cannot start missing\.service as systemd knows no such unit/,
  );
  assert.deepEqual(await systemd.calls(), []);
});

Deno.test("SystemdDriver skips units of a preset that are not installed, and says so", async () => {
  await using systemd = await FakeSystemd.make({ "a.service": {} });
  const driver = systemd.driver(["missing.service", "a.service"], { unitsFromPreset: true });
  const said: string[] = [];
  await driver.start({ onUnit: (text) => said.push(text) });
  assert.equal(await driver.running(), "all");
  await driver.stop();
  assert.deepEqual(said, ["not installed here, skipped: missing.service", "a.service started"]);
  assert.deepEqual(await systemd.calls(), ["start -- a.service", "stop -- a.service"]);
  const none = systemd.driver(["missing.service"], { unitsFromPreset: true });
  assert.match(await errorOf(none.start()), /knows no such unit/);
});

Deno.test("SystemdDriver.start() notices a unit that its condition kept from starting", async () => {
  await using systemd = await FakeSystemd.make({ "a.service": {} });
  await systemd.mark("a.service.gated");
  const driver = systemd.driver(["a.service"]);
  assert.match(await errorOf(driver.start()), /^Cannot start a\.service as one of its conditions/);
});

Deno.test("SystemdDriver.start() clears old failures, which would hit the start limit", async () => {
  await using systemd = await FakeSystemd.make({
    "a.service": { ActiveState: "failed", Result: "start-limit-hit" },
  });
  await systemd.driver(["a.service"]).start();
  assert.deepEqual(await systemd.calls(), ["reset-failed -- a.service", "start -- a.service"]);
});

Deno.test("SystemdDriver does not expect a oneshot to stay up", async () => {
  await using systemd = await FakeSystemd.make({
    "once.service": { Type: "oneshot" },
    "a.service": {},
  });
  const driver = systemd.driver(["once.service", "a.service"]);
  await driver.start();
  await Deno.writeTextFile(
    `${systemd.dir}/once.service`,
    "Id=once.service\nLoadState=loaded\nActiveState=inactive\nType=oneshot\nRemainAfterExit=no\n",
  );
  assert.equal(await driver.running(), "all");
});

Deno.test("SystemdDriver.stop() goes on after a failure and names every unit that failed", async () => {
  await using systemd = await FakeSystemd.make({
    "a.service": { ActiveState: "active" },
    "b.service": { ActiveState: "active" },
    "c.service": { ActiveState: "active" },
  });
  await systemd.mark("a.service.fail");
  await systemd.mark("c.service.fail");
  const message = await errorOf(
    systemd.driver(["a.service", "b.service", "c.service"]).stop(),
  );
  assert.match(message, /^Cannot stop c\.service.*\nCannot stop a\.service/);
  assert.equal((await systemd.calls()).length, 3);
});

Deno.test("SystemdDriver names the package when systemctl is missing", async () => {
  await using systemd = await FakeSystemd.make({});
  await Deno.remove(`${systemd.dir}/systemctl`);
  await Deno.writeTextFile(`${systemd.dir}/log`, "");
  await assert.rejects(systemd.driver(["a.service"]).running(), /as it is not installed/);
});

Deno.test("SystemdDriver.stop() asks a unit again that was still starting and did not hear", async () => {
  await using systemd = await FakeSystemd.make({
    "a.service": { ActiveState: "activating", SubState: "start" },
  });
  await systemd.mark("a.service.deaf");
  const driver = systemd.driver(["a.service"]);
  await driver.stop();
  assert.equal(await driver.running(), "none");
  assert.deepEqual(await systemd.calls(), [
    "stop -- a.service",
    "kill --kill-who=main --signal=SIGTERM -- a.service",
  ]);
});

Deno.test("SystemdDriver.stop() asks a unit that was up only once, however long it takes", async () => {
  await using systemd = await FakeSystemd.make({
    "a.service": { ActiveState: "active", SubState: "running" },
  });
  await systemd.mark("a.service.deaf");
  const driver = systemd.driver(["a.service"], { stopDeadlineMs: 3_000 });
  assert.match(await errorOf(driver.stop()), /was not done within 3 s/);
  assert.deepEqual(await systemd.calls(), ["stop -- a.service"]);
});

Deno.test("SystemdDriver.seeOff() asks a unit again whose start somebody else's stop cut off", async () => {
  await using systemd = await FakeSystemd.make({
    "a.service": { ActiveState: "deactivating", SubState: "stop-sigterm" },
  });
  await systemd.mark("a.service.fail");
  const driver = systemd.driver(["a.service"]);
  await errorOf(driver.start());
  // As systemd leaves it when its own stop cancels the start.
  await systemd.set("a.service", { ActiveState: "deactivating", SubState: "stop-sigterm" });
  const seenOff = driver.seeOff();
  for (
    let i = 0;
    i < 400 && !(await systemd.calls()).some((call) => call.startsWith("kill"));
    i++
  ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await systemd.set("a.service", { ActiveState: "inactive" });
  await seenOff;
  assert.deepEqual(await systemd.calls(), [
    "start -- a.service",
    "kill --kill-who=main --signal=SIGTERM -- a.service",
  ]);
});

Deno.test("SystemdDriver.seeOff() has nothing to wait for after a start that went well", async () => {
  await using systemd = await FakeSystemd.make({ "a.service": {} });
  const driver = systemd.driver(["a.service"]);
  await driver.start();
  await systemd.set("a.service", { ActiveState: "deactivating", SubState: "stop-sigterm" });
  await driver.seeOff();
  assert.deepEqual(await systemd.calls(), ["start -- a.service"]);
});
