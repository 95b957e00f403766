import assert from "node:assert/strict";
import { ServiceError } from "./service_error.ts";
import { SystemdDriver, type SystemdOptions } from "./systemd.ts";

/**
 * A program that stands in for systemctl (a real systemd is for the laboratory): it logs its arguments
 * and keeps one file per unit with the unit's properties.
 */
const FAKE = `#!/bin/sh
dir=$(dirname "$0")
verb=$1
echo "$*" >> "$dir/log"
while [ $# -gt 0 ] && [ "$1" != "--" ]; do shift; done
shift
case $verb in
  show)
    for unit; do
      if [ -e "$dir/$unit" ]; then cat "$dir/$unit"; else printf 'Id=%s\\nLoadState=not-found\\nActiveState=inactive\\nSubState=dead\\n' "$unit"; fi
      echo
    done ;;
  start)
    [ -e "$dir/$1.hang" ] && exec sleep 60
    if [ -e "$dir/$1.fail" ]; then
      sed -i 's/^ActiveState=.*/ActiveState=failed/; s/^Result=.*/Result=exit-code/' "$dir/$1"
      echo "Job for $1 failed because the control process exited with error code." >&2
      exit 1
    fi
    [ -e "$dir/$1.gated" ] && exec sed -i 's/^ConditionResult=.*/ConditionResult=no/' "$dir/$1"
    sed -i 's/^ActiveState=.*/ActiveState=active/' "$dir/$1" ;;
  stop)
    [ -e "$dir/$1.fail" ] && { echo "Failed to stop $1" >&2; exit 1; }
    sed -i 's/^ActiveState=.*/ActiveState=inactive/' "$dir/$1" ;;
  reset-failed)
    for unit; do sed -i 's/^ActiveState=.*/ActiveState=inactive/' "$dir/$unit"; done ;;
esac
`;

class FakeSystemd {
  private constructor(readonly dir: string) {}

  static async make(
    units: Readonly<Record<string, Readonly<Record<string, string>>>>,
  ): Promise<FakeSystemd> {
    const dir = await Deno.makeTempDir({ prefix: "relais-systemctl-" });
    await Deno.writeTextFile(`${dir}/systemctl`, FAKE, { mode: 0o755 });
    for (const [unit, properties] of Object.entries(units)) {
      const all = {
        Id: unit,
        LoadState: "loaded",
        ActiveState: "inactive",
        SubState: "dead",
        Result: "success",
        ConditionResult: "yes",
        Type: "notify",
        RemainAfterExit: "no",
        NRestarts: "0",
        ...properties,
      };
      const text = Object.entries(all).map(([key, value]) => `${key}=${value}\n`).join("");
      await Deno.writeTextFile(`${dir}/${unit}`, text);
    }
    return new FakeSystemd(dir);
  }

  driver(units: readonly string[], options: Partial<SystemdOptions> = {}): SystemdDriver {
    return new SystemdDriver({
      units,
      unitsFromPreset: false,
      startDeadlineMs: 60_000,
      stopDeadlineMs: 60_000,
      systemctl: `${this.dir}/systemctl`,
      ...options,
    });
  }

  mark(name: string): Promise<void> {
    return Deno.writeTextFile(`${this.dir}/${name}`, "");
  }

  /** The calls that change something, in order. */
  async calls(): Promise<string[]> {
    const log = await Deno.readTextFile(`${this.dir}/log`);
    return log.trim().split("\n").filter((line) => !line.startsWith("show "));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.dir, { recursive: true });
  }
}

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
    /^show --property=Id,LoadState,ActiveState,.*NRestarts -- a\.service b\.service$/,
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
