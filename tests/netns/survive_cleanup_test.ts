// `relais cleanup` where it must be careful: whose services these are, a daemon that lives, files that are
// damaged, an `ip` that hangs. One host; its peer is down.
import assert from "node:assert/strict";
import type { Cluster } from "../support/cluster.ts";
import { PBX_COMMANDS } from "../support/pbx.ts";
import { poll } from "../support/poll.ts";
import { pbxLines } from "../support/relais_config.ts";
import { CONFIG_FILE, type RelaisHost } from "../support/relais_host.ts";
import { unitVerb } from "../support/units.ts";
import { DEADLINE_MS, heldVips, servicesRun, startedCluster } from "./situations.ts";
import { PATIENT } from "./stage.ts";

const WORD = "/run/relais/serving.json";
const FLAG = "/run/relais/serving";
const HANGING_IP = "/usr/local/sbin/ip";
const STOP = "/usr/local/bin/stop-pbx";
const SLOW_STOP = "/run/slow-stop";
const STOPPING = "/run/stopping";

/** Stops the PBX; while SLOW_STOP is there, says so and takes its time. */
const STOP_SCRIPT = `#!/bin/sh
if [ -e ${SLOW_STOP} ]; then touch ${STOPPING}; sleep 600; fi
exec ${PBX_COMMANDS.stop.join(" ")}
`;

Deno.test("relais cleanup is careful", async (t) => {
  const stop = `stop = ${JSON.stringify(PBX_COMMANDS.stop)}`;
  const services = pbxLines().map((line) => line === stop ? `stop = ["${STOP}"]` : line)
    .map((line) => line.replace(/^stop_deadline_s = .*/, "stop_deadline_s = 600"));
  assert.ok(services.includes(`stop = ["${STOP}"]`));
  await using cluster = await startedCluster({
    config: { ...PATIENT, services },
    files: { [STOP]: STOP_SCRIPT },
  });
  const { master, slave } = cluster;
  await slave.stop("leave");
  const clean = (more: readonly string[] = []) =>
    master.relais([...unitVerb("relais-cleanup.service"), ...more]);

  await t.step("a daemon that lives is not touched, nor one that hangs", async () => {
    for (const signal of [null, "SIGSTOP"] as const) {
      if (signal !== null) await master.daemon!.signal(signal);
      const { code, stderr } = await clean();
      await master.host.thaw(); // Also what started the daemon, which stops with it.
      assert.equal(code, 1);
      assert.match(stderr, /Cannot clean up as relais is running: stop it first/);
    }
    await serving(cluster);
    assert.equal(await servicesRun(master), true);
  });

  await t.step("in maintenance services and gate are the operator's; the VIPs go", async () => {
    assert.equal((await master.relais(["maintenance", "on"])).code, 0);
    await master.untilState("maintenance", DEADLINE_MS);
    await master.stop("kill");
    const { code, stdout } = await clean();
    assert.equal(code, 0);
    assert.match(stdout, /^services and gate left alone, as in maintenance$/m);
    assert.equal(await servicesRun(master), true);
    assert.ok(master.host.exists(FLAG));
    assert.deepEqual(await heldVips(cluster, master), []);
    // Whoever mends the daemon finds it in maintenance, as it was.
    master.start();
    await master.untilState("maintenance", DEADLINE_MS);
    assert.equal(await servicesRun(master), true);
    await master.stop("kill");
  });

  await t.step("a PBX that was started by hand is not stopped", async () => {
    // As after a boot: no daemon left word.
    await master.host.exec(["rm", WORD]);
    assert.ok(master.host.exists(FLAG));
    assert.equal((await clean()).code, 0);
    assert.equal(await servicesRun(master), true);
  });

  await t.step("a damaged word of a daemon that served: the services go", async () => {
    await serving(cluster);
    await master.stop("kill");
    await master.host.writeFile(WORD, '{"version":1,"sta');
    const { code, stdout, stderr } = await clean();
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Cannot use \/run\/relais\/serving\.json/);
    assert.match(stdout, /^services stopped$/m);
    assert.equal(await servicesRun(master), false);
    assert.equal(master.host.exists(WORD), false);
  });

  await t.step(
    "a daemon that died on its way to rest: the services of the one before it go",
    async () => {
      await serving(cluster);
      await master.stop("kill");
      const word = JSON.parse(await master.host.readFile(WORD));
      const later = { ...word, state: "rejoining", serving: false };
      await master.host.writeFile(WORD, JSON.stringify(later));
      const { code, stdout, stderr } = await clean();
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^services stopped$/m);
      assert.equal(await servicesRun(master), false);
    },
  );

  await t.step("a node at rest has nothing that goes", async () => {
    // What runs on it was started by hand, behind a gate that the daemon keeps closed.
    await serving(cluster);
    await master.stop("kill");
    const word = JSON.parse(await master.host.readFile(WORD));
    await master.host.writeFile(
      WORD,
      JSON.stringify({ ...word, state: "standby", serving: false }),
    );
    assert.equal((await clean()).code, 0);
    assert.equal(await servicesRun(master), true);
  });

  await t.step("--all gives the host back: the services stay", async () => {
    await serving(cluster);
    await master.stop("kill");
    assert.equal((await clean(["--all"])).code, 0);
    assert.equal(await servicesRun(master), true);
    assert.deepEqual(await heldVips(cluster, master), []);
  });

  await t.step(
    "a configuration that can't be used: the VIPs go, what can't be done is said",
    async () => {
      await serving(cluster);
      await master.stop("kill");
      const good = await master.host.readFile(CONFIG_FILE);
      await master.host.writeFile(CONFIG_FILE, "no = [configuration");
      const { code, stdout, stderr } = await clean();
      await master.host.writeFile(CONFIG_FILE, good);
      assert.equal(code, 1);
      assert.match(stdout, /^Removed /m);
      assert.deepEqual(await heldVips(cluster, master), []);
      assert.match(stderr, /Cannot stop the services as the configuration, which names them/);
      // Whoever mends it and repeats it is not told that nothing is left.
      const again = await clean();
      assert.equal(again.code, 0, again.stderr);
      assert.match(again.stdout, /^services stopped$/m);
      assert.equal(await servicesRun(master), false);
    },
  );

  await t.step(
    "an ip that hangs: bounded, the rest is done, the kernel lets go, a repeat does it all",
    async () => {
      await serving(cluster);
      await master.stop("kill");
      await master.host.writeFile(HANGING_IP, "#!/bin/sh\nexec sleep 600\n", 0o755);
      const { code, stderr } = await clean();
      await master.host.exec(["rm", HANGING_IP]);
      assert.equal(code, 1);
      assert.match(stderr, /\bip\b/);
      assert.equal(await servicesRun(master), false);
      assert.equal(master.host.exists(FLAG), false);
      await poll(async () => (await heldVips(cluster, master)).length === 0, {
        deadlineMs: DEADLINE_MS,
        what: "the end of the VIPs' lifetime",
      });
      const again = await clean();
      assert.equal(again.code, 0, again.stderr);
      assert.match(again.stdout, /^Removed the route /m);
    },
  );

  await t.step("a daemon that is started meanwhile is left to itself", async () => {
    await serving(cluster);
    await master.stop("kill");
    await master.host.writeFile(SLOW_STOP, "");
    const cleaning = clean();
    await poll(() => master.host.exists(STOPPING), {
      deadlineMs: DEADLINE_MS,
      what: "a clean-up that stops the services",
    });
    await master.host.exec(["rm", SLOW_STOP]);
    master.start();
    const { code, stderr } = await cleaning;
    assert.equal(code, 1);
    assert.match(stderr, /relais was started meanwhile/);
    await serving(cluster);
    assert.equal(await servicesRun(master), true);
  });
});

/** The master serves, by the daemon that runs or by a new one. */
async function serving(cluster: Cluster): Promise<void> {
  const { master, lab }: { master: RelaisHost; lab: Cluster["lab"] } = cluster;
  if (master.daemon === null) master.start();
  const { node } = await master.waitFor(({ node }) => node.state !== "starting", {
    deadlineMs: DEADLINE_MS,
    what: "a daemon that knows what to do",
  });
  if (node.state === "maintenance") await master.relais(["maintenance", "off"]);
  await master.waitFor(
    ({ node, goal, services }) =>
      node.state === "active" && goal === null && services.healthy !== false,
    { deadlineMs: DEADLINE_MS, what: "an active master" },
  );
  await poll(async () => (await heldVips(cluster, master)).length === lab.networks.length, {
    deadlineMs: DEADLINE_MS,
    what: "its VIPs",
  });
}
