import assert from "node:assert/strict";
import { ConfigError, type ConfigIssue, formatIssue, parseConfig } from "./load.ts";

const HEAD = `[cluster]\nname = "test"\n`;
const NET =
  `[[networks]]\nname = "voip"\nmaster = "10.20.0.11"\nslave = "10.20.0.12"\nprefix = 24\n`;
const VIP = `${NET}vip = "10.20.0.10"\n`;
const DATA =
  `[[networks]]\nname = "data"\nmaster = "10.30.0.11"\nslave = "10.30.0.12"\nprefix = 24\n`;

function issuesOf(text: string): readonly ConfigIssue[] {
  try {
    parseConfig(text);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.issues;
  }
  return [];
}

/** Asserts that `text` breaks exactly these rules, each as `key: rule (got value)`. */
function refused(text: string, ...expected: readonly RegExp[]): void {
  const lines = issuesOf(text).map(formatIssue);
  assert.equal(lines.length, expected.length, `${text}\n${lines.join("\n") || "(accepted)"}`);
  for (const [index, pattern] of expected.entries()) assert.match(lines[index] ?? "", pattern);
}

function accepted(text: string): void {
  assert.deepEqual(issuesOf(text).map(formatIssue), [], text);
}

Deno.test("parseConfig() accepts the smallest file and fills in the defaults", () => {
  const config = parseConfig(HEAD + NET);
  assert.equal(config.cluster.preset, "none");
  assert.equal(config.heartbeat.preset, "balanced");
  assert.equal(config.heartbeat.deadAfterMs, 3000);
  assert.deepEqual(config.services.units, []);
  assert.equal(config.services.health.sip, null);
  assert.deepEqual(config.replication.astdb, null);
  assert.equal(config.replication.transport.identityFile, "/etc/relais/ssh/id_ed25519");
});

Deno.test("parseConfig() reports every problem at once, in one shape", () => {
  refused(
    `colour = "red"
[cluster]
name = ""
presett = "xivo"
[[networks]]
name = "VoIP!"
master = "10.20.0.11"
slave = "10.20.0.011"
prefix = 24
vip = "10.21.0.10"
vlan = 7
[heartbeat]
interval_ms = 5
dead_after_ms = 1000
[services]
driver = "systemd"
units = ["asterisk"]
[failback]
stable_s = "30"
[replication.astdb]
every = "soon"`,
    /^colour: is not a key of this table, which has cluster, networks, .* \(got "red"\)$/,
    /^cluster\.presett: is not a key .* \(got "xivo"\)$/,
    /^cluster\.name: must be a name .* \(got ""\)$/,
    /^services\.units\[0\]: must be the full name of a systemd unit.* \(got "asterisk"\)$/,
    /^replication\.astdb\.every: must be a duration .* \(got "soon"\)$/,
    /^replication\.astdb\.path: must be the path .* \(got nothing\)$/,
    /^networks\[0\]\.vlan: is not a key .* \(got 7\)$/,
    /^networks\[0\]\.name: must be 1 to 31 .* \(got "VoIP!"\)$/,
    /^networks\[0\]\.slave: must be an IPv4 or IPv6 address .*leading zeros\) \(got "10\.20\.0\.011"\)$/,
    /^networks\[0\]\.vip: must be inside its network 10\.20\.0\.0\/24 .* \(got "10\.21\.0\.10"\)$/,
    /^heartbeat\.interval_ms: must be a whole number from 20 to 10000 \(got 5\)$/,
    /^heartbeat\.isolated_after_ms: must be at most .* = 800, .* \(got 1500, from the preset balanced\)$/,
    /^failback\.stable_s: must be a whole number from 0 to 86400 \(got "30"\)$/,
  );
});

Deno.test("parseConfig() says line and column of a syntax error", () => {
  refused(
    "[cluster]\nname = \n",
    /^file: must be valid TOML \(got line 2, column 8: invalid value\)$/,
  );
  refused(`a = ${"[".repeat(100_000)}`, /^file: must be valid TOML/);
  refused("a".repeat(2_000_000), /^file: must be at most 1048576 bytes/);
});

Deno.test("parseConfig() requires a name and a network", () => {
  refused("", /^cluster\.name: .*got nothing/, /^networks: must be 1 to 16 .*got nothing/);
  refused(`${HEAD}networks = 3`.replace("[cluster]", "cluster.x = 1\n[cluster]"), /valid TOML/);
  refused(`networks = []\n${HEAD}`, /^networks: must be 1 to 16/);
  refused(`networks = [3]\n${HEAD}`, /^networks\[0\]: must be a table \(got 3\)/);
  refused(`heartbeat = 1979-05-27\n${HEAD}${NET}`, /^heartbeat: must be a table \(got 1979-05-27/);
});

Deno.test("parseConfig() refuses contradictory timings", () => {
  const beat = (numbers: string): string => `${HEAD}${NET}[heartbeat]\n${numbers}`;
  accepted(beat("interval_ms = 20\nisolated_after_ms = 40\ndead_after_ms = 60"));
  accepted(beat('preset = "fast"\ndead_after_ms = 300'));
  accepted(beat("interval_ms = 10000\nisolated_after_ms = 20000\ndead_after_ms = 30000"));
  refused(beat("interval_ms = 19"), /^heartbeat\.interval_ms: .*20 to 10000/);
  refused(beat("interval_ms = 10001"), /interval_ms: .*20 to 10000/);
  refused(beat("interval_ms = 200.5"), /interval_ms: must be a whole number/);
  refused(beat("interval_ms = nan"), /interval_ms: must be a whole number.*got NaN/);
  refused(
    beat("interval_ms = 200\nisolated_after_ms = 399"),
    /isolated_after_ms: must be at least 2 \* interval_ms = 400/,
  );
  refused(
    beat("interval_ms = 200\nisolated_after_ms = 2801\ndead_after_ms = 3000"),
    /isolated_after_ms: must be at most dead_after_ms - interval_ms = 2800.*\(got 2801\)/,
  );
  accepted(beat("interval_ms = 200\nisolated_after_ms = 2800\ndead_after_ms = 3000"));
  refused(
    beat("interval_ms = 200\nisolated_after_ms = 400\ndead_after_ms = 599"),
    /isolated_after_ms: must be at most/,
    /dead_after_ms: must be at least 3 \* interval_ms = 600/,
  );
  refused(beat("dead_after_ms = 300001"), /dead_after_ms: .*60 to 300000/);
  refused(
    beat('preset = "quick"'),
    /preset: must be one of "fast", "balanced", "calm" \(got "quick"\)/,
  );
  refused(beat("http_port = 0"), /http_port: .*1 to 65535/);
});

Deno.test("parseConfig() derives the slower paces from the typed numbers", () => {
  const beat = (numbers: string): readonly number[] => {
    const { heartbeat } = parseConfig(`${HEAD}${NET}[heartbeat]\n${numbers}`);
    return [heartbeat.httpIntervalMs, heartbeat.witnessIntervalMs, heartbeat.bootGraceMs];
  };
  assert.deepEqual(beat('preset = "fast"'), [166, 50, 5000]);
  assert.deepEqual(beat('preset = "balanced"'), [1000, 300, 12_000]);
  assert.deepEqual(beat('preset = "calm"'), [1000, 1200, 40_000]);
  assert.deepEqual(beat('preset = "fast"\ndead_after_ms = 300'), [100, 50, 5000]);
  assert.deepEqual(
    beat("interval_ms = 5000\nisolated_after_ms = 10000\ndead_after_ms = 15000"),
    [5000, 5000, 60_000],
  );
});

Deno.test("parseConfig() refuses a VIP that its network cannot have", () => {
  const vip = (text: string): string => `${HEAD}${NET}vip = "${text}"`;
  accepted(vip("10.20.0.10"));
  refused(vip("10.20.1.10"), /vip: must be inside its network 10\.20\.0\.0\/24/);
  refused(vip("10.20.0.0"), /vip: must not be the address of the network 10\.20\.0\.0\/24 itself/);
  refused(vip("10.20.0.255"), /vip: must not be the broadcast address/);
  refused(vip("10.20.0.11"), /vip: must differ from the hosts' own.*networks\[0\]\.master/);
  refused(vip("10.20.0.12"), /vip: must differ from the hosts' own.*networks\[0\]\.slave/);
  refused(vip("fd00::10"), /vip: must be IPv4, the family of its network/);
  for (
    const lax of ["1..2.3", "0x10.0.0.1", "10.20.0.010", " 10.20.0.10", "10.20.0.10/24", "vip"]
  ) {
    refused(vip(lax), /vip: must be an IPv4 or IPv6 address/);
  }
  refused(vip("127.0.0.1"), /vip: must not be a loopback address/);
  refused(vip("224.0.0.18"), /vip: must be a unicast address/);
  refused(vip("0.0.0.0"), /vip: must be a unicast address/);
  refused(vip("169.254.1.1"), /vip: must not be link-local: .*interface/);
  refused(vip("fe80::1"), /vip: must not be link-local: .*interface/);
  refused(vip("::ffff:10.20.0.10"), /vip: must be typed as IPv4/);
});

Deno.test("parseConfig() refuses the same VIP twice, wherever", () => {
  refused(
    `${HEAD}${NET}vips = ["10.20.0.10", "10.20.0.10"]`,
    /vips\[1\]: must not be listed twice/,
  );
  refused(
    `${HEAD}${NET}vip = "10.20.0.10"\nvips = ["10.20.0.9"]`,
    /vips: must not be given together with vip/,
  );
  const wide =
    `[[networks]]\nname = "wide"\nmaster = "10.20.9.11"\nslave = "10.20.9.12"\nprefix = 16\n`;
  refused(
    `${HEAD}${VIP}${wide}vip = "10.20.0.10"`,
    /networks\[1\]\.vip: must be mounted once only, but it is also networks\[0\]\.vip/,
  );
  refused(
    `${HEAD}${VIP}${wide}vip = "10.20.0.12"`,
    /networks\[1\]\.vip: must differ from the hosts' own.*networks\[0\]\.slave/,
  );
  const sameTextElse =
    `[[networks]]\nname = "v6"\nmaster = "fd00::b"\nslave = "fd00::c"\nprefix = 64\n`;
  refused(
    `${HEAD}${sameTextElse}vips = ["fd00::10", "fd00:0:0:0::0010"]`,
    /vips\[1\]: must not be listed twice \(got/,
  );
});

Deno.test("parseConfig() refuses hosts that are one, apart, or used twice", () => {
  refused(HEAD + NET.replace("10.20.0.12", "10.20.0.11"), /slave: must be the address of one host/);
  refused(HEAD + NET.replace("10.20.0.12", "10.20.1.12"), /slave: must be inside its network/);
  refused(
    HEAD + NET.replace("10.20.0.11", "10.20.0.0"),
    /master: must not be the address of the net/,
  );
  refused(HEAD + NET.replace("10.20.0.12", "fd00::1"), /slave: must be IPv4, the family/);
  refused(
    HEAD + NET + DATA.replace("10.30.0.11", "10.20.0.11").replace("10.30.0.12", "10.20.0.99"),
    /networks\[1\]\.master: must be the address of one host on one network/,
    /networks\[1\]: must be another network than networks\[0\].*one path \(got 10\.20\.0\.0\/24\)/,
  );
  refused(HEAD + NET + DATA.replace('"data"', '"voip"'), /networks\[1\]\.name: must be unique/);
  refused(HEAD + NET.replace("24", "32"), /prefix: must be a prefix length from 8 to 31 for IPv4/);
  refused(HEAD + NET.replace("24", "7"), /prefix: must be a prefix length from 8 to 31/);
  accepted(HEAD + NET.replace("24", "31").replace(".11", ".10").replace(".12", ".11"));
  refused(`${HEAD}${NET}interface = "eth 0"`, /interface: must be the name/);
});

Deno.test("parseConfig() judges routes", () => {
  const routes = (text: string): string => `${HEAD}${VIP}routes = [${text}]`;
  accepted(routes('{ to = "default", via = "10.20.0.254" }, { to = "192.168.0.0/16" }'));
  accepted(routes('{ to = "default", via = "10.20.0.254", table = 100, metric = 5 }'));
  accepted(routes('{ to = "default", via = "10.20.0.254", table = "voip", src = "10.20.0.10" }'));
  refused(routes('{ via = "10.20.0.254" }'), /routes\[0\]\.to: must be "default" or a prefix/);
  refused(routes('{ to = "default" }'), /routes\[0\]\.via: must be given for a default route/);
  refused(
    routes('{ to = "192.168.0.1/16", via = "10.20.0.254" }'),
    /to: .*e\.g\. "192\.168\.0\.0\/16"/,
  );
  refused(routes('{ to = "0.0.0.0/0", via = "10.20.0.254" }'), /to: must be typed as "default"/);
  refused(routes('{ to = "fd00::/8", via = "10.20.0.254" }'), /to: must be IPv4/);
  refused(routes('{ to = "default", via = "10.30.0.254" }'), /via: must be inside the network/);
  refused(routes('{ to = "default", via = "10.20.0.12" }'), /via: must be another machine/);
  refused(routes('{ to = "default", via = "10.20.0.10" }'), /via: must be another machine/);
  refused(
    routes('{ to = "default", via = "10.20.0.254", src = "10.20.0.11" }'),
    /src: must be a VIP of this network: a host's own address is not on the other host/,
  );
  refused(
    routes('{ to = "default", via = "10.20.0.254", src = "10.9.9.9" }'),
    /src: must be a VIP/,
  );
  refused(
    routes('{ to = "default", via = "10.20.0.254", table = "local" }'),
    /table: .*kernel's own/,
  );
  refused(
    routes('{ to = "default", via = "10.20.0.254", gw = 1 }'),
    /routes\[0\]\.gw: is not a key/,
  );
  refused(
    routes('{ to = "default", via = "10.20.0.254" }, { to = "default", via = "10.20.0.253" }'),
    /routes\[1\]: must differ from networks\[0\]\.routes\[0\]/,
  );
  refused(
    `${HEAD}${NET}routes = [{ to = "default", via = "10.20.0.254" }]`,
    /routes: must not be given without a VIP/,
  );
});

Deno.test("parseConfig() judges witnesses", () => {
  const witness = (text: string): string => `${HEAD}${VIP}witnesses = [${text}]`;
  accepted(witness('"10.20.0.254", "192.0.2.1"'));
  refused(witness('"10.20.0.12"'), /witnesses\[0\]: must be another machine.*networks\[0\]\.slave/);
  refused(witness('"10.20.0.10"'), /witnesses\[0\]: must be another machine.*networks\[0\]\.vip/);
  refused(witness('"gateway"'), /witnesses\[0\]: must be an IPv4 or IPv6 address/);
  refused(witness('"fd00::1"'), /witnesses\[0\]: must be IPv4 as the hosts are/);
  const routed = `${HEAD}${VIP}routes = [{ to = "default", via = "10.20.0.254" }]\n`;
  assert.deepEqual(parseConfig(routed).networks[0]?.witnesses, ["10.20.0.254"]);
  assert.deepEqual(parseConfig(`${routed}witnesses = []`).networks[0]?.witnesses, []);
});

Deno.test("parseConfig() takes IPv6 networks, in canonical text", () => {
  const config = parseConfig(
    `${HEAD}[[networks]]\nname = "v6"\nmaster = "FD00:0::B"\nslave = "fd00::c"\nprefix = 64\n` +
      `vip = "fd00::0:10"\nroutes = [{ to = "default", via = "fd00::fe" }]`,
  );
  const [network] = config.networks;
  assert.equal(network?.master, "fd00::b");
  assert.deepEqual(network?.vips, ["fd00::10"]);
  assert.equal(network?.family, 6);
  assert.equal(network?.routes[0]?.src, "fd00::10");
  const bad =
    `${HEAD}[[networks]]\nname = "v6"\nmaster = "fd00::b"\nslave = "fd00::c"\nprefix = 64\n`;
  refused(`${bad}vip = "fd00::"`, /vip: must not be the address of the network fd00::\/64 itself/);
  refused(`${bad}vip = "10.0.0.1"`, /vip: must be IPv6, the family/);
  refused(bad.replace("64", "128"), /prefix: must be a prefix length from 16 to 127 for IPv6/);
});

Deno.test("parseConfig() judges services", () => {
  const services = (text: string): string => `${HEAD}${NET}[services]\n${text}`;
  const three = 'start = ["/usr/bin/a"]\nstop = ["/usr/bin/b"]\nstatus = ["/usr/bin/c", "x y"]';
  accepted(services('units = ["asterisk.service", "foo@bar.service"]'));
  accepted(services("units = []"));
  accepted(services(`driver = "command"\n${three}`));
  accepted(`${HEAD}preset = "xivo"\n${NET}[services]\ndriver = "systemd"`);
  refused(services('driver = "systemd"'), /units: must list units with driver "systemd"/);
  refused(services('driver = "openrc"'), /driver: must be one of "systemd", "command"/);
  for (
    const unit of [
      "asterisk",
      "-a.service",
      "a b.service",
      "foo@.service",
      "a.exe",
      "relais.service",
    ]
  ) {
    refused(services(`units = ["${unit}"]`), /units\[0\]: must/);
  }
  refused(services('units = ["a.service", "a.service"]'), /units\[1\]: must not be listed twice/);
  refused(services(three), /start: must not/, /stop: must not/, /status: must not be given unless/);
  refused(
    services('driver = "command"\nunits = ["a.service"]\nstart = ["a"]\nstop = []'),
    /start\[0\]: must be the absolute path of a program \(got "a"\)/,
    /stop: must be a list of 1 to 64 texts/,
    /units: must not be given with driver "command"/,
    /status: must be given with driver "command"/,
  );
  refused(
    services(
      'units = ["postgresql@15-main.service"]\n[replication.database]\nurl="postgresql:///a"',
    ),
    /units\[0\]: must not be PostgreSQL while/,
  );
});

Deno.test("parseConfig() judges the telephony check", () => {
  const sip = (text: string): string => `${HEAD}${NET}[services.health]\nsip = "${text}"`;
  assert.deepEqual(parseConfig(sip("udp:[::1]:5060")).services.health.sip, {
    host: "::1",
    port: 5060,
  });
  assert.equal(parseConfig(sip("off")).services.health.sip, null);
  assert.deepEqual(
    parseConfig(`${HEAD}preset = "xivo"\n${NET}`).services.health.sip,
    { host: "127.0.0.1", port: 5060 },
  );
  const bad = [
    "tcp:127.0.0.1:5060",
    "udp:localhost:5060",
    "udp:127.0.0.1",
    "udp:127.0.0.1:0",
    "udp:127.0.0.1:65536",
    "udp:::1:5060",
    "udp:[127.0.0.1]:5060",
    "127.0.0.1:5060",
    "",
  ];
  for (const text of bad) refused(sip(text), /health\.sip: must be "udp:HOST:PORT"/);
});

Deno.test("parseConfig() judges the failback", () => {
  const failback = (text: string): string => `${HEAD}${NET}[failback]\n${text}`;
  assert.deepEqual(
    parseConfig(failback('mode = "window"\nwindow = "22:00-06:30"')).failback.window,
    {
      fromMinute: 1320,
      toMinute: 390,
    },
  );
  accepted(failback('mode = "manual"'));
  refused(failback('mode = "window"'), /window: must be two different times.*got nothing/);
  refused(
    failback('mode = "window 22:00-06:00"'),
    /mode: must be one of "auto", "manual", "window"/,
  );
  refused(failback('window = "22:00-06:00"'), /window: must not be given unless mode is "window"/);
  for (const text of ["24:00-06:00", "22:00", "22:00-22:00", "9:00-10:00", "22:60-06:00"]) {
    refused(failback(`mode = "window"\nwindow = "${text}"`), /window: must be two different times/);
  }
  accepted(failback('when_idle = { command = ["/usr/sbin/asterisk", "-rx", "core show"] }'));
  refused(failback("when_idle = {}"), /when_idle\.command: must be a list/);
  refused(
    failback('when_idle = { command = ["./x"], deadline_s = 0 }'),
    /when_idle\.command\[0\]: must be the absolute path of a program, or its name/,
    /when_idle\.deadline_s/,
  );
});

Deno.test("parseConfig() judges the database URL", () => {
  const url = (text: string): string => `${HEAD}${NET}[replication.database]\nurl = "${text}"`;
  const database = parseConfig(url("postgresql:///asterisk?host=/run/pg&port=5433")).replication
    .database;
  assert.equal(database?.name, "asterisk");
  assert.equal(database?.socketDir, "/run/pg");
  assert.equal(database?.port, 5433);
  accepted(url("postgres:///xivo"));
  refused(url("postgresql://db.example/asterisk"), /url: must not name a host: each host copies/);
  refused(url("postgresql://localhost/asterisk"), /url: must not name a host/);
  refused(url("postgresql://asterisk:secret@/asterisk"), /url: must not name a user or password/);
  refused(
    url("postgresql:///asterisk?host=10.0.0.1"),
    /url: must have the directory of a local socket/,
  );
  refused(url("postgresql:///asterisk?host=/a/../b"), /url: must have the directory/);
  refused(url("postgresql:///asterisk?port=70000"), /url: must have a port/);
  refused(url("postgresql:///asterisk?sslmode=off"), /url: must have no other parameters/);
  refused(url("postgresql:///asterisk?port=1&port=2"), /url: must have port once/);
  refused(url("postgresql:///"), /url: must end in the name/);
  refused(url("postgresql:///a/b"), /url: must end in the name/);
  refused(url("postgresql:///postgres"), /url: must not be the server's own database/);
  refused(url("mysql:///asterisk"), /url: must be a URL/);
  const paced = (pace: string): string =>
    `${HEAD}${NET}[replication.database]\nurl = "postgresql:///asterisk"\npace = ${pace}`;
  for (const pace of ['"20"', '"99kB"', '"-1MB"', '"20mb"', '"20MB/s"', '""', "20", '"00"']) {
    refused(paced(pace), /pace: must be bytes per second such as "20MB"/);
  }
  for (const [pace, bytes] of [["0", null], ["100kB", 1e5], ["20MiB", 20 * 2 ** 20]] as const) {
    const { database } = parseConfig(paced(`"${pace}"`)).replication;
    assert.equal(database?.paceBytesPerSecond, bytes, pace);
  }
  refused(
    `${HEAD}${NET}[replication.database]\nlocal_tables = ["a;b"]\nexclude_table_data = ["c d"]`,
    /local_tables\[0\]: must be the name of a table/,
    /exclude_table_data\[0\]: must be a table name or a pattern/,
    /url: must be a URL/,
  );
});

Deno.test("replication.database: what goes back is one of three words, its tables are names", () => {
  refused(
    `${HEAD}${NET}[replication.database]\nreturn = "some"\nreturn_tables = ["append:a b"]\n` +
      'on_return_failure = "stop"',
    /database\.return: must be one of "none", "tables", "all"/,
    /return_tables\[0\]: must be a table name or a pattern/,
    /on_return_failure: must be one of "wait", "go"/,
    /url: must be a URL/,
  );
  refused(
    `${HEAD}${NET}[replication.database]\nurl = "postgresql:///a"\n` +
      'return = "tables"',
    /return_tables: must list tables as return is "tables"/,
  );
});

Deno.test("parseConfig() judges paths and patterns to copy", () => {
  const files = (text: string): string => `${HEAD}${NET}[replication.files]\n${text}`;
  accepted(files('paths = ["/etc/xivo/asterisk"]\nexcludes = ["*.tmp", "/monitor/"]'));
  accepted(files('return_paths = ["/var/spool/asterisk/voicemail"]'));
  for (const path of ["etc", "/", "/a/../b", "/a/./b", "/a//b", "/a/", "", "/a\\nb"]) {
    refused(files(`paths = ["${path}"]`), /paths\[0\]: must be an absolute path other than "\/"/);
  }
  for (const path of ["/etc", "/var/lib", "/usr"]) {
    refused(files(`paths = ["${path}"]`), /paths\[0\]: must not be a whole system directory/);
  }
  for (const path of ["/etc/relais", "/proc/sys", "/var/lib/postgresql/15", "/dev"]) {
    refused(files(`return_paths = ["${path}"]`), /return_paths\[0\]: must not be in/);
  }
  refused(files(""), /paths: must list paths to copy/);
  for (const pattern of ["+ a", "- a", "!", "", "; a"]) {
    refused(files(`paths = ["/a"]\nexcludes = ["${pattern}"]`), /excludes\[0\]: must be an rsync/);
  }
});

Deno.test("parseConfig() reads durations", () => {
  const every = (text: string): string => {
    return `${HEAD}${NET}[replication.astdb]\npath = "/a/b"\nevery = "${text}"`;
  };
  const golden = {
    "1000ms": 1000,
    "30s": 30_000,
    "2m": 120_000,
    "1h": 3_600_000,
    "1d": 86_400_000,
  };
  for (const [text, ms] of Object.entries(golden)) {
    assert.equal(parseConfig(every(text)).replication.astdb?.everyMs, ms);
  }
  for (const text of ["500ms", "0s", "2d", "2", "2 m", "-1s", "1.5h", "02m", "2M", ""]) {
    refused(every(text), /every: must be a duration such as "30s", "2m" or "1h", from 1s to 1d/);
  }
});

Deno.test("what the file says wins over the preset, key by key", () => {
  const preset = parseConfig(`${HEAD}preset = "xivo"\n${NET}`);
  assert.ok(preset.services.units.includes("asterisk.service") && preset.services.unitsFromPreset);
  assert.equal(preset.replication.astdb?.path, "/var/lib/asterisk/astdb.sqlite3");
  assert.ok(preset.replication.database?.localTables.includes("netiface"));
  const own = parseConfig(
    `${HEAD}preset = "xivo"\n${NET}[services]\nunits = ["a.service"]
[replication.astdb]\nevery = "5m"
[replication.database]\nlocal_tables = []
[replication.files]\nenabled = false`,
  );
  assert.deepEqual(own.services.units, ["a.service"]);
  assert.equal(own.services.unitsFromPreset, false);
  assert.deepEqual(own.replication.astdb, {
    path: "/var/lib/asterisk/astdb.sqlite3",
    everyMs: 300_000,
    maxAgeMs: 900_000,
    onChange: true,
    localKeys: [],
  });
  assert.deepEqual(own.replication.database?.localTables, []);
  assert.equal(own.replication.database?.name, "asterisk");
  assert.equal(own.replication.files, null);
});

Deno.test("parseConfig() judges the transport", () => {
  const ssh = (text: string): string => `${HEAD}${NET}[replication.ssh]\n${text}`;
  assert.deepEqual(parseConfig(ssh('user = "relais"\nport = 2222')).replication.transport, {
    user: "relais",
    port: 2222,
    identityFile: "/etc/relais/ssh/id_ed25519",
    knownHostsFile: "/etc/relais/ssh/known_hosts",
    bandwidthBytesPerSecond: null,
    compression: "zstd",
  });
  const narrow = parseConfig(ssh(
    'bandwidth = "10MB"\ncompression = "none"\n[replication.database]\nurl = "postgresql:///a"',
  )).replication;
  assert.equal(narrow.transport.bandwidthBytesPerSecond, 10_000_000);
  assert.equal(narrow.database?.compression, "none");
  assert.equal(
    parseConfig(ssh('bandwidth = "0"')).replication.transport.bandwidthBytesPerSecond,
    null,
  );
  for (const text of ['"10"', '"99kB"', '"-1MB"', '"10mb"', '"10MB/s"', '""', "10"]) {
    refused(ssh(`bandwidth = ${text}`), /ssh\.bandwidth: must be bytes per second such as "10MB"/);
  }
  refused(ssh('compression = "gzip"'), /ssh\.compression: must be one of "zstd", "none"/);
  refused(ssh('user = "-oProxyCommand=x"'), /ssh\.user: must be the name of a system user/);
  refused(ssh('identity_file = "id"'), /ssh\.identity_file: must be an absolute path/);
});

Deno.test("parseConfig() closes the gate by default where systemd runs the services, and only there", () => {
  const systemd = parseConfig(`${HEAD}${NET}[services]\nunits = ["a.service"]\n`);
  assert.equal(systemd.services.gate, true);
  const off = parseConfig(`${HEAD}${NET}[services]\nunits = ["a.service"]\ngate = false\n`);
  assert.equal(off.services.gate, false);
  const command = `${HEAD}${NET}[services]\ndriver = "command"\nstart = ["/a"]\nstop = ["/b"]\n` +
    `status = ["/c"]\n`;
  assert.equal(parseConfig(command).services.gate, false);
  accepted(`${command}gate = false\n`);
  refused(
    `${command}gate = true\n`,
    /^services\.gate: must not be true with driver "command".*\(got true\)$/,
  );
  refused(`${HEAD}${NET}[services]\ngate = "yes"\n`, /^services\.gate: must be true or false/);
});

Deno.test("parseConfig() shields the SIP ports by default where there are services", () => {
  const services = `${HEAD}${NET}[services]\nunits = ["a.service"]\n`;
  assert.deepEqual(parseConfig(services).services.shield, [
    { protocol: "udp", port: 5060 },
    { protocol: "tcp", port: 5060 },
    { protocol: "tcp", port: 5061 },
  ]);
  assert.deepEqual(parseConfig(HEAD + NET).services.shield, []);
  assert.deepEqual(parseConfig(`${services}shield = []\n`).services.shield, []);
  refused(
    `${services}shield = ["udp:5060", "sctp:5060", "udp:0", "tcp:65536", "udp:5060"]\n`,
    /^services\.shield\[1\]: must be "udp:PORT" or "tcp:PORT".*\(got "sctp:5060"\)$/,
    /^services\.shield\[2\]: /,
    /^services\.shield\[3\]: /,
    /^services\.shield\[4\]: must not be listed twice/,
  );
});

Deno.test("local_keys are keys of the astdb or patterns, and none for a Berkeley DB", () => {
  const astdb = (path: string, keys: string): string =>
    `${HEAD}${NET}[replication.astdb]\npath = "${path}"\nlocal_keys = ${keys}`;
  const good = parseConfig(astdb("/v/astdb.sqlite3", '["/pbx/UUID", "dundi/*"]'));
  assert.deepEqual(good.replication.astdb?.localKeys, ["/pbx/UUID", "/dundi/*"]);
  for (const keys of ['["*"]', '["/*"]', '[""]', '["//x"]', '["a\\nb"]', '"/pbx/UUID"']) {
    assert.throws(() => parseConfig(astdb("/v/astdb.sqlite3", keys)), /local_keys/, keys);
  }
  assert.throws(() => parseConfig(astdb("/v/astdb", '["/pbx/UUID"]')), /Berkeley/);
});

Deno.test("parseConfig() judges max_age and the schedule of verify", () => {
  const astdb = (more: string): string =>
    `${HEAD}${NET}[replication.astdb]\npath = "/var/lib/asterisk/astdb.sqlite3"\n${more}`;
  assert.equal(parseConfig(astdb("")).replication.astdb?.maxAgeMs, 600_000);
  assert.equal(parseConfig(astdb('every = "1h"')).replication.astdb?.maxAgeMs, 3 * 3_600_000);
  assert.equal(parseConfig(astdb('max_age = "5m"')).replication.astdb?.maxAgeMs, 300_000);
  refused(astdb('max_age = "2m"'), /max_age: must be longer than every \(2m\)/);
  refused(astdb('max_age = "31d"'), /max_age: must be a duration .* to 30d/);
  const verify = (every: string): string => `${HEAD}${NET}[replication.verify]\nevery = ${every}`;
  const day = 86_400_000;
  assert.equal(parseConfig(`${HEAD}${NET}`).replication.verify?.everyMs, 7 * day);
  assert.equal(parseConfig(verify('"1d"')).replication.verify?.everyMs, day);
  assert.equal(parseConfig(verify('"0"')).replication.verify?.everyMs, null);
  for (const every of ['"59m"', '"91d"', '"never"', "0"]) {
    refused(verify(every), /replication\.verify\.every: must be a duration .* or "0" for never/);
  }
});

Deno.test("formatIssue() shows a key without end by its beginning", () => {
  const line = formatIssue({ key: "k".repeat(5000), rule: "is not a key", got: "1" });
  assert.equal(line, `${"k".repeat(200)}…: is not a key (got 1)`);
});
