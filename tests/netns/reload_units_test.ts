// `relais reload` with units that come and go. The hosts of these tests have no systemd: a program in its
// place keeps one file per unit, as in src/services/systemd_test.ts (a real systemd is for the laboratory).
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { poll } from "../support/poll.ts";
import { relaisToml } from "../support/relais_config.ts";
import { CONFIG_FILE, type RelaisHost } from "../support/relais_host.ts";
import { Cluster } from "../support/cluster.ts";
import { DEADLINE_MS } from "./situations.ts";
import { STEADY } from "./stage.ts";

/** A unit that is in /etc/units is installed, one in /run/units runs; each start is a line of the log. */
const SYSTEMCTL = `#!/bin/sh
verb=$1
mkdir -p /run/units
while [ $# -gt 0 ] && [ "$1" != "--" ]; do shift; done
shift
case $verb in
  show)
    for unit; do
      load=not-found active=inactive
      [ -e "/etc/units/$unit" ] && load=loaded
      [ -e "/run/units/$unit" ] && active=active
      printf 'Id=%s\\nLoadState=%s\\nActiveState=%s\\nType=simple\\n\\n' "$unit" "$load" "$active"
    done ;;
  start)
    grep -q broken "/etc/units/$1" && { echo "Job for $1 failed" >&2; exit 1; }
    echo "$1" >> /run/started
    : > "/run/units/$1" ;;
  stop) rm -f "/run/units/$1" ;;
esac
`;

const UNITS = ["one.service", "two.service", "three.service", "broken.service"] as const;

function toml(units: readonly string[]): string {
  const services = ['driver = "systemd"', `units = ${JSON.stringify(units)}`];
  return relaisToml({ ...STEADY, networks: ["voip"], failback: ['mode = "manual"'], services });
}

Deno.test("relais reload starts an added unit where the service is, leaves a removed one running, and refuses one that does not start", async () => {
  const before = toml(["one.service"]);
  await using cluster = await Cluster.create({ config: { networks: ["voip"] }, toml: before });
  const { master, slave } = cluster;
  for (const { host } of cluster.both) {
    await host.writeFile("/usr/local/bin/systemctl", SYSTEMCTL, 0o755);
    for (const unit of UNITS) {
      await host.writeFile(`/etc/units/${unit}`, unit.startsWith("broken") ? "broken" : "");
    }
  }
  await cluster.start(DEADLINE_MS);
  const epoch = (await master.status())?.node.epoch;
  assert.deepEqual(await running(master), ["one.service"]);

  const broken = await reload(master, toml(["one.service", "two.service", "broken.service"]));
  assert.equal(broken.code, 1, broken.stdout);
  assert.match(broken.stderr, /Cannot start broken\.service/);
  assert.deepEqual(await running(master), ["one.service"], "two.service is stopped again");

  const missing = await reload(master, toml(["one.service", "absent.service"]));
  assert.equal(missing.code, 1, missing.stdout);
  assert.match(missing.stderr, /systemd knows no such unit/);

  for (const host of [slave, master]) {
    const { code, stdout, stderr } = await reload(host, toml(["one.service", "two.service"]));
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /services\.units: added two\.service/);
    assert.equal(/started: two\.service/.test(stdout), host === master);
  }
  assert.deepEqual(await running(master), ["one.service", "two.service"]);
  assert.deepEqual(await running(slave), []);

  for (const host of [slave, master]) {
    const { code, stdout, stderr } = await reload(host, toml(["two.service", "three.service"]));
    assert.equal(code, 0, stdout + stderr);
    assert.equal(/one\.service runs on here/.test(stdout), host === master);
  }
  assert.deepEqual(await running(master), ["one.service", "three.service", "two.service"]);
  const { node, services } = await master.waitFor(({ peer }) => peer.configMatches === true, {
    deadlineMs: DEADLINE_MS,
    what: "the same configuration on both",
  });
  assert.deepEqual([node.state, node.epoch], ["active", epoch]);
  assert.deepEqual(services.names, ["two.service", "three.service"]);
  assert.equal(services.running, "all");
  // Each was started once: what stays was not started again.
  const started = (await master.host.readFile("/run/started")).trim().split("\n");
  assert.deepEqual(started.filter((unit) => unit === "one.service").length, 1);
  await cluster.untilNormal(DEADLINE_MS);
});

Deno.test("many reloads leave nothing open behind", async () => {
  const [a, b] = [toml(["one.service"]), toml(["one.service", "two.service"])];
  await using cluster = await Cluster.create({ config: { networks: ["voip"] }, toml: a });
  const { master } = cluster;
  for (const { host } of cluster.both) {
    await host.writeFile("/usr/local/bin/systemctl", SYSTEMCTL, 0o755);
    for (const unit of UNITS) await host.writeFile(`/etc/units/${unit}`, "");
  }
  await cluster.start(DEADLINE_MS);
  const pid = await master.daemon?.pid();
  const open = async (): Promise<number> => (await readdir(`/proc/${pid}/fd`)).length;
  // The first one may open what is then kept.
  for (const text of [b, a]) assert.equal((await reload(master, text)).code, 0);
  const before = await open();
  assert.ok(before > 10, `${before}: those of a daemon that listens and watches`);
  for (let time = 0; time < 10; time++) {
    for (const text of [b, a]) assert.equal((await reload(master, text)).code, 0);
  }
  // Connections and programs that were in progress at the moment come and go.
  await poll(async () => await open() <= before + 4, {
    deadlineMs: DEADLINE_MS,
    what: `${before} open descriptors, or few more`,
    instead: async () => `${await open()}`,
  });
  await cluster.untilNormal(DEADLINE_MS);
});

async function running({ host }: RelaisHost): Promise<string[]> {
  const { stdout } = await host.try(["ls", "/run/units"]);
  return stdout.split("\n").filter((line) => line !== "");
}

/** Writes the file and has it read. */
async function reload(host: RelaisHost, text: string): ReturnType<RelaisHost["relais"]> {
  await host.host.writeFile(CONFIG_FILE, text);
  return await host.relais(["reload"], DEADLINE_MS);
}
