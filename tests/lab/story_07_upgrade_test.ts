// While it serves: upgrade, restart, reload and the death of the daemon lose no packet and no call.
import assert from "node:assert/strict";
import type { StatusDocument } from "../../src/health/types.ts";
import { TempDirectory } from "../support/temp_directory.ts";
import type { HeldCall } from "./held_call.ts";
import type { LabHost } from "./lab_host.ts";
import { packNewerRelais } from "./newer_package.ts";
import { CONFIG_FILE, labToml, offerRelais, provisioned } from "./provision.ts";
import { statusOf, untilState, waitForStatus } from "./relais_status.ts";
import { installedVersion, upgradeAll } from "./service_package.ts";
import { SipPhone } from "./sip_phone.ts";
import { type Scene, story } from "./stage.ts";

const DEADLINE_MS = 120_000;
/** The pings that were under way when a phase ended are answered by then. */
const SETTLED = 100;

story(
  "story 7: upgrade, restart, reload and a killed daemon lose no packet and no call",
  async (scene) => {
    const { laboratory, master, slave, outside } = scene;
    using temporary = new TempDirectory();
    await untilState(master, "active", DEADLINE_MS);
    await waitForPeer(master);
    await outside.untilHolder("master", { deadlineMs: DEADLINE_MS });
    await outside.untilSip(DEADLINE_MS);
    await using desk = await SipPhone.create(laboratory, "1001");
    await using other = await SipPhone.create(laboratory, "1002");
    await desk.register();
    await desk.answer();
    const call = await other.call("1001");
    const quietly = new Quietly(scene, call);

    const version = `${await installedVersion(master, "relais")}+next`;
    const archive = await packNewerRelais(temporary.path, version);
    for (const host of [slave, master]) await offerRelais(host, archive);
    for (const host of [slave, master]) {
      await quietly.does(`apt upgrade, ${host.name}`, host, "another", async () => {
        await upgradeAll(host);
        assert.equal(await installedVersion(host, "relais"), version);
      });
    }
    for (const host of [slave, master]) {
      await quietly.does(`systemctl restart, ${host.name}`, host, "another", async () => {
        await host.exec(["systemctl", "restart", "relais"], { deadlineMs: DEADLINE_MS });
      });
    }

    const calmer = labToml({ heartbeat: ['preset = "balanced"', "dead_after_ms = 4000"] });
    for (const host of [slave, master]) {
      const was = await fingerprint(host);
      await host.writeFile(CONFIG_FILE, calmer);
      await quietly.does(`systemctl reload, ${host.name}`, host, "same", async () => {
        await host.exec(["systemctl", "reload", "relais"], { deadlineMs: DEADLINE_MS });
        assert.notEqual(await fingerprint(host), was, "the new configuration is in force");
      });
    }
    await quietly.does("systemctl reload of a bad file", master, "same", async () => {
      const was = await fingerprint(master);
      await master.writeFile(CONFIG_FILE, calmer.replace("[failback]", "[failbakc]"));
      const { code } = await master.try(["systemctl", "reload", "relais"], {
        deadlineMs: DEADLINE_MS,
      });
      assert.notEqual(code, 0, "systemd is told");
      assert.equal(
        await fingerprint(master),
        was,
        "the daemon goes on with the configuration it has",
      );
      const { status } = await statusOf(master);
      assert.match(status?.alerts.join("\n") ?? "", /last reload was refused/);
      assert.ok(await master.isActive("relais.service"));
    });
    await master.writeFile(CONFIG_FILE, calmer);
    await master.exec(["systemctl", "reload", "relais"], { deadlineMs: DEADLINE_MS });

    await quietly.does("kill -9 of the daemon", master, "another", async () => {
      await master.exec(["systemctl", "kill", "--kill-who=main", "-s", "KILL", "relais.service"]);
    });
    const restarts = ["systemctl", "show", "-p", "NRestarts", "--value", "relais.service"];
    assert.equal(await master.read(restarts), "1", "systemd started it again");

    await call.hangUp(); // the serving Asterisk still knows the call from before all that
    assert.equal(await other.tryCall("1001"), null);
  },
  { from: provisioned() },
);

/** Things that are done to a host while a call is held and the VIPs are pinged. */
class Quietly {
  constructor(readonly scene: Scene, readonly call: HeldCall) {}

  /**
   * Does it, and looks from outside that nothing was lost: no packet to the VIPs, no SIP request, no call,
   * no move. Afterwards the daemon is the same, or another one that has adopted what the old one held.
   */
  async does(
    what: string,
    host: LabHost,
    daemon: "same" | "another",
    work: () => Promise<void>,
  ): Promise<void> {
    const { outside, master, note } = this.scene;
    const [before, serving] = [await status(host), await status(master)];
    await outside.mark(what);
    await work();
    const after = await waitForStatus(
      host,
      ({ node }) =>
        node.state === before.node.state &&
        (node.instanceId === before.node.instanceId) === (daemon === "same"),
      { deadlineMs: DEADLINE_MS, what: `${daemon} daemon, ${before.node.state}` },
    );
    await waitForPeer(master);
    await this.#untilPinged(what);
    await outside.mark(`after ${what}`);
    const seen = await outside.seen(what);
    note(what, seen);
    assert.deepEqual(seen.lost, { vip: 0, data: 0, sip: 0 }, what);
    assert.equal(seen.answeredByTwo, 0, what);
    assert.equal(await outside.phoneArp(), this.scene.laboratory.mac("master"), what);
    assert.equal(this.call.running, true, `${what}: the call is held`);
    assert.equal(await this.call.wasDropped(), false, `${what}: nobody hung up`);
    assert.equal(after.node.epoch, before.node.epoch, `${what}: the same epoch on ${host.name}`);
    const served = await status(master);
    assert.equal(served.node.state, "active", what);
    assert.equal(served.node.epoch, serving.node.epoch, what);
  }

  /** Some more pings were answered since then, so that a loss at the end would be seen. */
  async #untilPinged(what: string): Promise<void> {
    const { outside } = this.scene;
    const { sent } = await outside.seen(what);
    while ((await outside.seen(what)).sent.vip < sent.vip + SETTLED) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function status(host: LabHost): Promise<StatusDocument> {
  const { status, said } = await statusOf(host);
  assert.ok(status !== null, `${host.name}: ${said}`);
  return status;
}

async function fingerprint(host: LabHost): Promise<string> {
  return (await status(host)).node.configFingerprint;
}

/** The master knows that the slave could take over. */
async function waitForPeer(master: LabHost): Promise<void> {
  await waitForStatus(master, ({ peer }) => peer.report?.ready === true, {
    deadlineMs: DEADLINE_MS,
    what: "a slave that could take over, as the master sees it",
  });
}
