import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { Gate, GateError, gateFlag, removeGate } from "./gate.ts";
import { DROP_IN_MARK, DROP_IN_NAME, dropInText, isOurDropIn } from "./gate_drop_in.ts";
import { FakeSystemd } from "./systemd_fixture.ts";

/** A systemd with units, and a run directory. */
async function prepare(...units: readonly string[]): Promise<{
  readonly systemd: FakeSystemd;
  readonly gate: (units: readonly string[], runDir?: string) => Gate;
  readonly dropIn: (unit: string) => string;
}> {
  const systemd = await FakeSystemd.make(Object.fromEntries(units.map((unit) => [unit, {}])));
  Deno.mkdirSync(`${systemd.dir}/run`);
  const { unitDir, systemctl } = systemd;
  return {
    systemd,
    gate: (gated, runDir = "run") =>
      new Gate({ units: gated, runDir: `${systemd.dir}/${runDir}`, unitDir, systemctl }),
    dropIn: (unit) => `${unitDir}/${unit}.d/${DROP_IN_NAME}`,
  };
}

Deno.test("a unit behind the closed gate is skipped, behind the open one it starts", async () => {
  const { systemd, gate: make } = await prepare("a.service");
  await using _ = systemd;
  const gate = make(["a.service"]);
  const driver = systemd.driver(["a.service"]);
  await gate.install();
  await assert.rejects(driver.start(), /one of its conditions does not hold \(is the gate open\?/);
  assert.equal(await driver.running(), "none");
  gate.open();
  await driver.start();
  assert.equal(await driver.running(), "all");
  gate.close();
  assert.equal(await driver.running(), "all", "what runs goes on");
});

Deno.test("Gate.open() and close() may be repeated, and the gate is closed to begin with", async () => {
  const { systemd, gate: make } = await prepare();
  await using _ = systemd;
  const gate = make([]);
  const seen: boolean[] = [gate.state().open];
  for (const step of ["close", "open", "open", "close", "close"] as const) {
    gate[step]();
    seen.push(gate.state().open);
  }
  assert.deepEqual(seen, [false, false, true, true, false, false]);
  assert.equal(gate.state().flag, gateFlag(`${systemd.dir}/run`));
});

Deno.test("Gate.install() writes once, and again only what is missing or different", async () => {
  const { systemd, gate: make, dropIn } = await prepare();
  await using _ = systemd;
  const gate = make(["a.service", "b@1.service"]);
  assert.deepEqual(gate.state().missing, ["a.service", "b@1.service"]);
  assert.equal((await gate.install()).length, 2);
  assert.deepEqual(gate.state().installed, ["a.service", "b@1.service"]);
  assert.equal(
    Deno.readTextFileSync(dropIn("b@1.service")),
    dropInText(`${systemd.dir}/run/serving`),
  );
  assert.deepEqual(await gate.install(), []);
  assert.deepEqual(await systemd.calls(), ["daemon-reload"], "one for both, none for nothing");
  Deno.writeTextFileSync(dropIn("a.service"), `${DROP_IN_MARK}\n[Unit]\n`);
  assert.deepEqual(gate.state().missing, ["a.service"]);
  assert.deepEqual(await gate.install(), ["a.service is behind the gate"]);
});

Deno.test("Gate.install() lets go of units that are no longer configured, and of nothing else", async () => {
  const { systemd, gate: make, dropIn } = await prepare();
  await using _ = systemd;
  await make(["a.service", "b.service"]).install();
  await make(["elsewhere.service"], "other").install();
  Deno.writeTextFileSync(`${systemd.unitDir}/b.service.d/override.conf`, "[Service]\n");
  Deno.mkdirSync(`${systemd.unitDir}/c.service.d`);
  Deno.writeTextFileSync(dropIn("c.service"), "[Unit]\nDescription=an operator's\n");
  assert.deepEqual(await make([]).install(), [
    "a.service is no longer behind the gate",
    "b.service is no longer behind the gate",
  ]);
  assert.ok(!existsSync(`${systemd.unitDir}/a.service.d`), "an empty folder goes");
  assert.ok(existsSync(`${systemd.unitDir}/b.service.d/override.conf`));
  assert.ok(existsSync(dropIn("c.service")));
  assert.ok(existsSync(dropIn("elsewhere.service")), "the gate of another relais");
});

Deno.test("Gate.install() overwrites no file that relais did not make, and gates the other units", async () => {
  const { systemd, gate: make, dropIn } = await prepare();
  await using _ = systemd;
  const foreign = "[Unit]\nDescription=an operator's\n";
  Deno.mkdirSync(`${systemd.unitDir}/a.service.d`);
  Deno.writeTextFileSync(dropIn("a.service"), foreign);
  const gate = make(["a.service", "b.service"]);
  await assert.rejects(gate.install(), (error: unknown) => {
    assert.ok(error instanceof GateError);
    assert.match(error.message, /^Cannot put a\.service behind the gate as .* not made by relais/);
    return error.problems.length === 1;
  });
  assert.equal(Deno.readTextFileSync(dropIn("a.service")), foreign);
  assert.deepEqual(gate.state().installed, ["b.service"]);
  assert.deepEqual(await systemd.calls(), ["daemon-reload"]);
});

Deno.test("Gate.install() names a place where it cannot write", async () => {
  const { systemd } = await prepare();
  await using _ = systemd;
  // A file where the folder should be refuses root too.
  const unitDir = `${systemd.dir}/not-a-folder`;
  Deno.writeTextFileSync(unitDir, "");
  const gate = new Gate({ units: ["a.service"], runDir: systemd.dir, unitDir });
  await assert.rejects(
    gate.install(),
    /^.*Cannot put a\.service behind the gate as .*not-a-folder/,
  );
  gate.open();
  assert.deepEqual(gate.state().missing, ["a.service"]);
});

Deno.test("Gate.install() says when systemd did not take the drop-ins in", async () => {
  const { systemd, gate: make } = await prepare();
  await using _ = systemd;
  await systemd.mark("reload.fail");
  await assert.rejects(make(["a.service"]).install(), /Failed to reload daemon/);
});

Deno.test("removeGate() removes what relais made for any run directory, and nothing else; twice is harmless", async () => {
  const { systemd, gate: make, dropIn } = await prepare("a.service");
  await using _ = systemd;
  await make(["a.service"]).install();
  await make(["b.service"], "other").install();
  Deno.mkdirSync(`${systemd.unitDir}/c.service.d`);
  Deno.writeTextFileSync(dropIn("c.service"), "[Unit]\n");
  const options = { unitDir: systemd.unitDir, systemctl: systemd.systemctl };
  assert.deepEqual(await removeGate(options), [
    "drop-in of the gate removed from a.service",
    "drop-in of the gate removed from b.service",
  ]);
  assert.deepEqual([...Deno.readDirSync(systemd.unitDir)].map(({ name }) => name), [
    "c.service.d",
  ]);
  await systemd.driver(["a.service"]).start();
  assert.equal(await systemd.driver(["a.service"]).running(), "all");
  const calls = await systemd.calls();
  assert.deepEqual(await removeGate(options), []);
  assert.deepEqual(await systemd.calls(), calls, "no reload for nothing");
  assert.deepEqual(await removeGate({ unitDir: `${systemd.dir}/absent` }), []);
});

Deno.test("dropInText() is known by its first line, and a % in the path is no specifier", () => {
  const text = dropInText("/run/50%/serving");
  assert.ok(isOurDropIn(text));
  assert.match(text, /^ConditionPathExists=\/run\/50%%\/serving$/m);
  assert.ok(!isOurDropIn(`[Unit]\n${DROP_IN_MARK}\n`));
});
