import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { coreConfig, identifyRole, IdentityError, loadConfig, localConfig } from "./load.ts";
import { parseConfig } from "./load.ts";

const CONF = fileURLToPath(new URL("../../packaging/conf/", import.meta.url));
const sample = await loadConfig(`${CONF}relais.toml`);

Deno.test("loadConfig() reads the shipped sample as DESIGN section 12 means it", () => {
  assert.deepEqual(sample.cluster, { name: "siege", preset: "xivo" });
  assert.deepEqual(sample.networks, [
    {
      name: "voip",
      master: "10.20.0.11",
      slave: "10.20.0.12",
      family: 4,
      prefix: 24,
      vips: ["10.20.0.10"],
      routes: [
        { to: "10.20.0.0/24", via: null, src: "10.20.0.10", table: null, metric: null },
        { to: "default", via: "10.20.0.254", src: "10.20.0.10", table: null, metric: null },
      ],
      witnesses: ["10.20.0.254"],
      interface: null,
    },
    {
      name: "data",
      master: "10.30.0.11",
      slave: "10.30.0.12",
      family: 4,
      prefix: 24,
      vips: ["10.30.0.10"],
      routes: [],
      witnesses: [],
      interface: null,
    },
  ]);
  assert.deepEqual(sample.heartbeat, {
    preset: "balanced",
    intervalMs: 200,
    isolatedAfterMs: 1500,
    deadAfterMs: 3000,
    unfitAfterMs: 10_000,
    bootGraceMs: 12_000,
    httpIntervalMs: 1000,
    witnessIntervalMs: 300,
    httpPort: 8460,
  });
  assert.deepEqual(sample.services.units, ["asterisk.service"]);
  assert.equal(sample.services.unitsFromPreset, false);
  assert.deepEqual(sample.services.health, {
    sip: { host: "127.0.0.1", port: 5060 },
    rise: 2,
    fall: 3,
    intervalMs: 1000,
  });
  assert.deepEqual(sample.failback, {
    mode: "auto",
    window: null,
    stableMs: 30_000,
    whenIdle: {
      command: ["asterisk", "-rx", "core show channels count"],
      deadlineMs: 600_000,
    },
  });
  const { astdb, database, files } = sample.replication;
  assert.deepEqual(astdb, {
    path: "/var/lib/asterisk/astdb.sqlite3",
    everyMs: 120_000,
    maxAgeMs: 600_000,
    onChange: true,
    localKeys: [],
  });
  assert.equal(database?.name, "asterisk");
  assert.equal(database?.everyMs, 3_600_000);
  assert.ok(database?.localTables.includes("netiface"), "the preset's local tables stay");
  assert.deepEqual(files?.paths, ["/var/lib/xivo/sounds", "/etc/xivo/asterisk"]);
  assert.deepEqual(files?.returnPaths, ["/var/spool/asterisk/voicemail"]);
});

Deno.test("the commented keys of the sample are the defaults", async () => {
  const text = await Deno.readTextFile(`${CONF}relais.toml`);
  const keys =
    /^# ((interval|isolated_after|dead_after|unfit_after|boot_grace)_ms|http_port|\w+_deadline_s|user|port|identity_file|known_hosts_file|os_user|excludes|\[replication\.ssh\])/;
  const uncommented = text.split("\n").map((line) => keys.test(line) ? line.slice(2) : line);
  assert.equal(uncommented.filter((line, i) => line !== text.split("\n")[i]).length, 15);
  assert.deepEqual(parseConfig(uncommented.join("\n")), sample);
});

Deno.test("the commented hooks of the sample are good ones", async () => {
  const text = await Deno.readTextFile(`${CONF}relais.toml`);
  const keys = /^# (\[hooks\]|presets = |(before|after)_(takeover|handback) = )/;
  const uncommented = text.split("\n").map((line) => keys.test(line) ? line.slice(2) : line);
  const { hooks } = parseConfig(uncommented.join("\n"));
  assert.deepEqual(
    hooks.afterTakeover.map(({ command }) => command[0]),
    ["xivo-agentd-cli", "/usr/local/sbin/announce"],
  );
  assert.equal(hooks.beforeTakeover[0]?.deadlineMs, 5000);
});

Deno.test("loadConfig() reads every shipped example", async () => {
  const noVip = await loadConfig(`${CONF}examples/no-vip.toml`);
  assert.deepEqual(noVip.networks[0]?.vips, []);
  assert.deepEqual(noVip.failback.window, { fromMinute: 22 * 60, toMinute: 6 * 60 });
  assert.equal(noVip.replication.database, null);
  const ipv6 = await loadConfig(`${CONF}examples/ipv6.toml`);
  assert.deepEqual(ipv6.networks[1]?.vips, ["2001:db8:20::10", "2001:db8:20::1:10"]);
  assert.deepEqual(ipv6.networks[1]?.witnesses, ["2001:db8:20::fe", "2001:db8:20::fd"]);
  assert.deepEqual(ipv6.services.health.sip, { host: "::1", port: 5060 });
  assert.equal(ipv6.services.unitsFromPreset, true);
  assert.equal(ipv6.replication.database, null);
  assert.equal(ipv6.replication.files?.paths.includes("/var/lib/wazo/sounds"), true);
});

Deno.test("parseConfig() returns a frozen configuration", () => {
  assert.ok(Object.isFrozen(sample) && Object.isFrozen(sample.networks[0]?.vips));
});

Deno.test("identifyRole() knows the host by any of its addresses", () => {
  assert.equal(identifyRole(sample, ["127.0.0.1", "10.20.0.11"]), "master");
  assert.equal(identifyRole(sample, ["10.30.0.12/24", "fe80::1%eth0"]), "slave");
});

Deno.test("identifyRole() refuses a host that is neither or both, and names the addresses", () => {
  const thrown = (own: readonly string[]): string => {
    try {
      return identifyRole(sample, own);
    } catch (error) {
      assert.ok(error instanceof IdentityError);
      return error.message;
    }
  };
  assert.match(
    thrown(["10.20.0.10"]),
    /none of the configured addresses.*10\.20\.0\.11.*10\.20\.0\.10$/,
  );
  assert.match(thrown([]), /Addresses of this host: none$/);
  assert.match(
    thrown(["10.20.0.11", "10.30.0.12"]),
    /addresses of both: 10\.20\.0\.11 of the master/,
  );
});

Deno.test("coreConfig() carries the timings and the failback rule of this host", () => {
  const core = coreConfig(localConfig(sample, "slave"));
  assert.deepEqual(core, {
    role: "slave",
    intervalMs: 200,
    isolatedAfterMs: 1500,
    deadAfterMs: 3000,
    unfitAfterMs: 10_000,
    fencing: null,
    bootGraceMs: 12_000,
    failback: { mode: "auto", stableMs: 30_000, idleDeadlineMs: 600_000 },
  });
});
