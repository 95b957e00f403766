import assert from "node:assert/strict";
import { sampleStatus } from "../../tests/support/health_sample.ts";
import { parseConfig } from "../config/load.ts";
import { goalSteps } from "../core/goals.ts";
import type { Finding } from "../doctor/finding.ts";
import { formatDrill, judgeMove } from "./drill_judge.ts";
import { type DrillContext, STEP_PLANS } from "./drill_steps.ts";

const CONFIG = {
  ...parseConfig(
    await Deno.readTextFile(
      new URL("../../packaging/conf/relais.toml", import.meta.url),
    ),
  ),
  role: "slave" as const,
};

/** A slave that stands by, with a good peer; its astdb was never received (the directory is empty). */
function context(change: Partial<DrillContext> = {}): DrillContext {
  const status = sampleStatus();
  const [astdb] = status.dataSets;
  return {
    config: CONFIG,
    stateDir: "/nonexistent",
    path: "/usr/bin",
    status: {
      ...status,
      node: { ...status.node, state: "standby" },
      peer: { ...status.peer, configMatches: true, versionMatches: true },
      unfitReasons: [],
      dataSets: [
        astdb!,
        { ...astdb!, set: "database", ageMs: 41 * 60_000 },
        { ...astdb!, set: "files", ageMs: null },
      ],
    },
    ...change,
  };
}

function finding(id: Finding["id"], severity: Finding["severity"]): Finding {
  return { id, group: "tools", severity, checked: true, found: id, why: "", mend: "mend it" };
}

Deno.test("every step of take and hand-over has a plan in STEP_PLANS", () => {
  for (const goal of ["take", "hand-over"] as const) {
    for (const urgent of [true, false]) {
      for (const { name } of goalSteps(goal, { fetch: true, urgent, fence: "required" })) {
        assert.ok(Object.hasOwn(STEP_PLANS, name), `${goal}, ${name}: add it to drill_steps.ts`);
      }
    }
  }
});

Deno.test("judgeMove() names the device that fences the peer and the arbiter that must be asked", async () => {
  const config = {
    ...CONFIG,
    ...parseConfig(
      `${await Deno.readTextFile(new URL("../../packaging/conf/relais.toml", import.meta.url))}
[arbiter]
etcd = ["http://10.20.0.254:2379"]
[fencing]
[fencing.master]
agent = "fence_ipmilan"
parameters = { ip = "10.20.0.21" }
[fencing.slave]
agent = "fence_apc_snmp"
parameters = { ip = "10.20.0.22" }
`,
    ),
  };
  const status = { ...context().status, arbiter: null };
  const { steps } = await judgeMove({ ...context(), config, status }, [
    finding("fencing.device", "failure"),
  ]);
  const [right, fence] = steps.slice(1, 3);
  assert.equal(right?.name, "acquire-right");
  assert.match(right.does, /from the arbiter \(http:\/\/10\.20\.0\.254:2379\)/);
  assert.equal(fence?.name, "fence-peer");
  assert.match(fence.does, /switch the peer off with fence_(ipmilan|apc_snmp)/);
  assert.equal(fence.verdict, "problem");
});

Deno.test("judgeMove() goes through the real steps of take in their order, and tells the loss", async () => {
  const drill = await judgeMove(context(), []);
  const steps = goalSteps("take", { fetch: true, urgent: false }).map(({ name }) => name as string);
  assert.deepEqual(drill.steps.map(({ name }) => name), ["conditions", ...steps]);
  assert.equal(drill.works, true, JSON.stringify(drill.steps));
  // No astdb to install: it goes on with the one in place, and says so.
  const astdb = drill.steps.find(({ name }) => name === "install-astdb");
  assert.equal(astdb?.verdict, "warning");
  assert.deepEqual(drill.loss, [
    "astdb: at most what changed in the last 3 min",
    "database: at most what changed in the last 41 min",
    "files: everything, as no copy was ever made",
  ]);
  assert.match(formatDrill(drill), /a takeover would work; nothing was changed$/);
});

Deno.test("judgeMove() fails where a step that must not fail would, and only there", async () => {
  const shield = await judgeMove(context(), [finding("tools.nft", "failure")]);
  assert.equal(shield.works, true);
  assert.equal(shield.steps.find(({ name }) => name === "raise-shield")?.verdict, "warning");
  const services = await judgeMove(context(), [finding("services.installed", "failure")]);
  assert.equal(services.works, false);
  const step = services.steps.find(({ name }) => name === "start-services");
  assert.deepEqual([step?.verdict, step?.findings[0]?.mend], ["problem", "mend it"]);
  assert.match(formatDrill(services), /PROBLEM +start-services[^]*would NOT work/);
});

Deno.test("judgeMove() says what keeps a takeover from beginning", async () => {
  const { status } = context();
  const unfit = await judgeMove(
    context({ status: { ...status, unfitReasons: ["no carrier"] } }),
    [],
  );
  assert.equal(unfit.works, false);
  assert.match(formatDrill(unfit), /PROBLEM +conditions[^]*unfit: no carrier/);
  const resting = { ...status, node: { ...status.node, state: "maintenance" as const } };
  assert.equal((await judgeMove(context({ status: resting }), [])).works, false);
});

Deno.test("judgeMove() on the node that serves is about the hand-over", async () => {
  const { status } = context();
  const active = { ...status, node: { ...status.node, state: "active" as const } };
  const report = { ...status.peer.report!, ready: true };
  const ready = { ...active, peer: { ...active.peer, report } };
  const drill = await judgeMove(context({ status: ready }), []);
  assert.equal(drill.goal, "hand-over");
  assert.ok(drill.steps.some(({ name }) => name === "send-astdb"));
  assert.equal(drill.works, true, JSON.stringify(drill.steps));
  assert.match(drill.loss.join(), /database: all that was written here since the takeover/);
  const silent = { ...active, peer: { ...active.peer, report: null } };
  assert.equal((await judgeMove(context({ status: silent }), [])).works, false);
});
