/** The goals with a real gate and a real shield in a namespace (root only); systemd is stood in for. */

import assert from "node:assert/strict";
import { loadConfig, localConfig } from "../config/load.ts";
import type { LocalConfig } from "../config/types.ts";
import type { CoreEvent } from "../core/types.ts";
import { systemClock } from "../os/clock.ts";
import { libc } from "../os/libc.ts";
import { Gate } from "../services/gate.ts";
import { Shield, SHIELD_MAX_MS } from "../services/shield.ts";
import { FakeSystemd } from "../services/systemd_fixture.ts";
import { Netns, whyNoNamespaces } from "../../tests/support/netns_min.ts";
import { poll } from "../../tests/support/poll.ts";
import { GoalRunner } from "./goal_runner.ts";
import { createStepPerformer, shieldLifetimeMs, stepDeadlineMs, stepHasWork } from "./steps.ts";

libc(); // Opened here, as it stays open: inside a test it would count as a leak.

const ignore = whyNoNamespaces() !== null;
const WITHIN = { deadlineMs: 30_000 };
const sample = new URL("../../packaging/conf/relais.toml", import.meta.url).pathname;
const CONFIG: LocalConfig = localConfig(await loadConfig(sample), "master");
const UNIT = "asterisk.service";

interface Place {
  readonly systemd: FakeSystemd;
  readonly gate: Gate;
  readonly shield: Shield;
  readonly runner: GoalRunner;
  readonly events: CoreEvent[];
  /** The steps that ended, with a `!` if they failed. */
  readonly steps: string[];
  /** What nft shows of our table. */
  readonly table: () => Promise<string>;
  /** `gate closed, shield up` at each step, as the step before it left them. */
  readonly seen: Map<string, string>;
}

async function onPlace(work: (place: Place) => Promise<void>): Promise<void> {
  await using systemd = await FakeSystemd.make({ [UNIT]: {} });
  const netns = await Netns.open();
  try {
    const { unitDir, systemctl } = systemd;
    const gate = new Gate({ units: [UNIT], runDir: systemd.dir, unitDir, systemctl });
    await gate.install();
    const nftCommand = ["nsenter", `--net=/proc/${netns.pid}/ns/net`, "--", "nft"];
    const shield = new Shield({ ports: CONFIG.services.shield, clock: systemClock, nftCommand });
    await shield.lower();
    const driver = systemd.driver([UNIT]);
    const events: CoreEvent[] = [];
    const steps: string[] = [];
    const seen = new Map<string, string>();
    let running = await driver.running();
    const perform = createStepPerformer({
      config: CONFIG,
      services: driver,
      acquireRight: () => Promise.resolve("the right is this node's"),
      releaseRight: () => Promise.resolve(),
      readServices: async () => running = await driver.running(),
      running: () => running,
      untilHealthy: async () => assert.equal(await driver.running(), "all"),
      gate,
      installGate: () => {},
      shield,
      flushFlows: () => Promise.resolve("flushed"),
      onTrouble: (text) => assert.fail(text),
      mount: async () => {},
      drop: async () => {},
      announce: () => {},
      persist: () => {},
      replicator: null,
      epoch: () => 1,
      askPeer: async () => {},
      tellYours: async () => {},
      fencePeer: () => Promise.reject(new Error("fencing is not configured")),
      runHooks: (moment) => Promise.reject(new Error(`no hooks of ${moment} are configured`)),
    });
    const runner = new GoalRunner({
      clock: systemClock,
      perform: (step, context) => {
        const look = `gate ${gate.state().open ? "open" : "closed"}, ` +
          `shield ${shield.up === null ? "down" : "up"}`;
        if (!seen.has(step)) seen.set(step, look);
        return perform(step, context);
      },
      undo: () => shield.lower().then(() => {}),
      deadlineMs: (step) => stepDeadlineMs(step, CONFIG),
      hasWork: (step) => stepHasWork(step, CONFIG),
      onEvent: (event) => events.push(event),
      onStep: ({ step, error }) => steps.push(error === null ? step : `${step}!`),
    });
    const table = (): Promise<string> => netns.run("nft", "list", "table", "inet", "relais");
    await work({ systemd, gate, shield, runner, events, steps, table, seen });
  } finally {
    await netns.close();
  }
}

const PLAIN = { fetch: false, urgent: false };

Deno.test({
  name: "take opens the gate, and the shield is up while the services start, no longer",
  ignore,
  fn: () =>
    onPlace(async ({ gate, runner, events, seen, table, systemd }) => {
      runner.start("take", 1, PLAIN);
      await runner.settled();
      assert.deepEqual(events, [{ type: "goal-done", goalId: 1 }]);
      assert.match(seen.get("start-services") ?? "", /^gate open/);
      assert.equal(seen.get("check-health"), "gate open, shield up");
      assert.equal(seen.get("flush-conntrack"), "gate open, shield down");
      assert.equal(await table(), "");
      assert.ok(gate.state().open);
      assert.equal(await systemd.driver([UNIT]).running(), "all");
    }),
});

Deno.test({
  name: "hand-over raises the shield and closes the gate before the services stop",
  ignore,
  fn: () =>
    onPlace(async ({ gate, runner, seen, table, systemd }) => {
      gate.open();
      await systemd.driver([UNIT]).start();
      runner.start("hand-over", 1, PLAIN);
      await runner.settled();
      assert.equal(seen.get("stop-services"), "gate closed, shield up");
      assert.equal(seen.get("tell-yours"), "gate closed, shield up");
      assert.equal(await table(), "");
      assert.equal(await systemd.driver([UNIT]).running(), "none");
      await assert.rejects(systemd.driver([UNIT]).start(), /is the gate open/);
    }),
});

Deno.test({
  name: "a goal that failed leaves no shield",
  ignore,
  fn: () =>
    onPlace(async ({ runner, events, steps, table, shield, systemd }) => {
      await systemd.mark(`${UNIT}.fail`);
      runner.start("take", 1, PLAIN);
      await runner.settled();
      assert.equal(events[0]?.type, "goal-failed");
      assert.equal(steps.at(-1), "start-services!");
      assert.equal(await table(), "");
      assert.equal(shield.up, null);
    }),
});

Deno.test({
  name: "a goal that is cancelled leaves no shield, and the next one begins after that",
  ignore,
  fn: () =>
    onPlace(async ({ runner, events, seen, table, systemd }) => {
      await systemd.mark(`${UNIT}.hang`);
      runner.start("take", 1, PLAIN);
      await poll(() => runner.current?.step === "start-services", { ...WITHIN, what: "the start" });
      runner.start("join", 2, PLAIN);
      await runner.settled();
      assert.deepEqual(events, [{ type: "goal-done", goalId: 2 }]);
      assert.equal(seen.get("drop-vips"), "gate open, shield down");
      assert.equal(seen.get("stop-services"), "gate closed, shield down");
      assert.equal(await table(), "");
    }),
});

Deno.test({
  name: "take raises no shield in front of services that run already",
  ignore,
  fn: () =>
    onPlace(async ({ gate, runner, seen, systemd }) => {
      gate.open();
      await systemd.driver([UNIT]).start();
      // What the node knows of its services is what was read last.
      runner.start("repair", 1, PLAIN);
      await runner.settled();
      runner.start("take", 2, PLAIN);
      await runner.settled();
      assert.equal(seen.get("mount-vips"), "gate open, shield down");
      assert.equal(seen.get("lower-shield"), "gate open, shield down");
    }),
});

Deno.test("shieldLifetimeMs() covers the steps under the shield, whatever the bound is", () => {
  const sum = shieldLifetimeMs("take", CONFIG);
  assert.ok(
    sum > stepDeadlineMs("start-services", CONFIG) + stepDeadlineMs("check-health", CONFIG),
  );
  assert.ok(shieldLifetimeMs("hand-over", CONFIG) > stepDeadlineMs("send-files", CONFIG));
  const units = Array.from({ length: 18 }, (_, n) => `u${n}.service`);
  const many = { ...CONFIG, services: { ...CONFIG.services, units } };
  assert.ok(shieldLifetimeMs("take", many) > SHIELD_MAX_MS);
});
