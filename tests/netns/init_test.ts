// relais init on a host with two networks and a gateway: by flags, and asked on a real terminal.
import assert from "node:assert/strict";
import { parseConfig } from "../../src/config/load.ts";
import type { RunResult } from "../../src/os/process.ts";
import type { TestHost } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { CONFIG_FILE, RELAIS, RelaisHost } from "../support/relais_host.ts";

const DEADLINE_MS = 60_000;
const BY_FLAGS = [
  ...["--name", "siege", "--preset", "xivo"],
  ...["--slave", "voip=10.20.0.12", "--vip", "voip=10.20.0.10"],
  ...["--slave", "data=10.30.0.12", "--vip", "data=10.30.0.10"],
];

async function hosts(): Promise<Lab> {
  const lab = await Lab.create();
  for (const host of [lab.master, lab.slave]) await new RelaisHost(host).install();
  // Not found on every machine where this runs: the host's /usr/sbin is its own.
  await lab.master.writeFile("/usr/sbin/asterisk", "#!/bin/sh\n", 0o755);
  await lab.master.exec(["mkdir", "-p", "/usr/lib/postgresql"]);
  await lab.master.exec(["rm", "-rf", "/etc/xivo", "/usr/bin/xivo-service"]);
  return lab;
}

async function init(host: TestHost, ...args: string[]): Promise<RunResult> {
  return await host.try([RELAIS, "init", ...args], { deadlineMs: DEADLINE_MS });
}

/** `relais init` on a pseudo-terminal, with these lines typed on it; ^D when they are used up. */
async function typed(
  host: TestHost,
  lines: readonly string[],
  lang = "C.UTF-8",
): Promise<RunResult> {
  const argv = ["script", "-qec", `${RELAIS} init`, "/dev/null"];
  const stdin = lines.map((line) => `${line}\n`).join("");
  return await host.try(argv, { deadlineMs: DEADLINE_MS, stdin, env: { LANG: lang } });
}

function written(host: TestHost): string[] {
  const folder = `${host.root}/etc/relais`;
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

Deno.test("relais init: flags and what is found make a good file; one that is there stays unless forced", async () => {
  await using lab = await hosts();
  const { master, slave } = lab;
  const shown = await init(master, ...BY_FLAGS, "--yes", "--print");
  assert.equal(shown.code, 0, shown.stderr);
  assert.deepEqual(written(master), [], "--print writes to standard output only");

  const made = await init(master, ...BY_FLAGS, "--yes");
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /^Wrote \/etc\/relais\/relais\.toml\..* relais pair$/m);
  const text = await master.readFile(CONFIG_FILE);
  assert.equal(text, shown.stdout);
  const [voip, data] = parseConfig(text).networks;
  assert.deepEqual([voip!.master, voip!.slave, voip!.prefix], ["10.20.0.11", "10.20.0.12", 24]);
  assert.deepEqual([voip!.vips, voip!.witnesses], [["10.20.0.10"], ["10.20.0.254"]]);
  assert.deepEqual(voip!.routes.map(({ to, via }) => [to, via]), [
    ["10.20.0.0/24", null],
    ["default", "10.20.0.254"],
  ]);
  assert.deepEqual([data!.master, data!.routes, data!.witnesses], ["10.30.0.11", [], []]);
  const stat = await master.exec(["stat", "-c", "%a %U:%G", CONFIG_FILE]);
  assert.equal(stat.stdout, "644 root:root\n");
  const check = await master.try([RELAIS, "check-config", "--host"], { deadlineMs: DEADLINE_MS });
  assert.equal(check.code, 0, check.stderr);

  const again = await init(master, ...BY_FLAGS, "--yes");
  assert.equal(again.code, 1);
  assert.match(again.stderr, /as there is one already[^]*--force/);
  const forced = await init(master, ...BY_FLAGS, "--yes", "--name", "annexe", "--force");
  assert.equal(forced.code, 0, forced.stderr);
  assert.equal(parseConfig(await master.readFile(CONFIG_FILE)).cluster.name, "annexe");
  const [first, backup] = written(master);
  assert.match(backup ?? "", /^relais\.toml\.\d{8}T\d{6}\.old$/);
  assert.equal(first, "relais.toml");
  assert.equal(await master.readFile(`/etc/relais/${backup}`), text);

  // From the slave's side: its own address is found, the master's is named.
  const other = await init(slave, "--master", "voip=10.20.0.11", "--name", "siege", "--yes");
  assert.equal(other.code, 0, other.stderr);
  const { networks } = parseConfig(await slave.readFile(CONFIG_FILE));
  assert.deepEqual([networks[0]!.master, networks[0]!.slave], ["10.20.0.11", "10.20.0.12"]);
});

Deno.test("relais init refuses as a whole, says every problem at once, and writes nothing", async () => {
  await using lab = await hosts();
  const { master } = lab;
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [[], 64, /what is not known here must be said: --master NETWORK=ADDRESS, --slave NETWORK/],
    [["--vip", "voip=10.20.0.10"], 64, /must be said: --slave voip=ADDRESS$/m],
    [["--slave", "10.20.0.12"], 64, /it is NETWORK=VALUE, such as voip=10\.20\.0\.11/],
    [["--slave", "voip=1.2.3.4", "--slave", "voip=1.2.3.5"], 64, /voip is given twice/],
    [["--preset", "pbx"], 64, /Allowed choices are xivo, wazo, none/],
    [
      ["--slave", "voip=10.20.0.12", "--vip", "voip=10.99.0.1", "--name", "siège!"],
      65,
      /2 problems\n {2}cluster\.name: .*\(got "siège!"\)\n {2}networks\[0\]\.vip: must be inside/,
    ],
    [
      ["--master", "a=10.20.0.21", "--slave", "a=10.20.0.22"],
      78,
      /Cannot tell which host this is as it has none of the configured addresses/,
    ],
  ];
  for (const [args, code, why] of cases) {
    const result = await init(master, ...args, "--yes");
    assert.equal(result.code, code, `${args.join(" ")}: ${result.stderr}`);
    assert.match(result.stderr, why);
    assert.deepEqual(written(master), []);
  }
  const elsewhere = await init(master, ...cases.at(-1)![0], "--yes", "--print");
  assert.equal(elsewhere.code, 0, "for another host: printed, with a word on standard error");
  assert.match(elsewhere.stderr, /none of the configured addresses/);
});

Deno.test("relais init asks on a terminal: Enter takes what was found, in English and in French", async () => {
  await using lab = await hosts();
  const { master, slave } = lab;
  await slave.writeFile(
    "/etc/xivo/ha.conf",
    '{"node_type": "slave", "remote_address": "10.20.0.11"}\n',
  );
  // Name, product, role, use voip, its name, peer (wrong twice), VIP, gateway; not data; database; write.
  const answers = ["", "none", "", "", "", "here", "10.99.0.1", "10.20.0.12", "10.20.0.10", ""];
  const gaveUp = await typed(master, [...answers, "no"]);
  assert.notEqual(gaveUp.code, 0);
  assert.deepEqual(written(master), [], "the input ended: nothing is left");
  const argv = ["script", "-qec", `${RELAIS} init`, "/dev/null"];
  const interrupted = await master.try(argv, { deadlineMs: DEADLINE_MS, stdin: "siege\n\x03" });
  assert.notEqual(interrupted.code, 0);
  assert.deepEqual(written(master), [], "Ctrl-C leaves nothing");
  const no = await typed(master, [...answers, "no", "-", "no"]);
  assert.notEqual(no.code, 0);
  assert.deepEqual(written(master), [], "no is no");
  const made = await typed(master, [...answers, "no", "-", ""]);
  assert.equal(made.code, 0, made.stdout);
  assert.match(
    made.stdout,
    /Found here: eth0 10\.20\.0\.11\/24, eth1 10\.30\.0\.11\/24, default via 10\.20\.0\.254, Asterisk/,
  );
  assert.match(made.stdout, /must be an address in 10\.20\.0\.11\/24 \(got "10\.99\.0\.1"\)/);
  const config = parseConfig(await master.readFile(CONFIG_FILE));
  assert.deepEqual(config.networks.map(({ name, slave, vips }) => [name, slave, vips]), [
    ["voip", "10.20.0.12", ["10.20.0.10"]],
  ]);
  assert.deepEqual(config.services.units, ["asterisk.service"]);
  assert.equal(config.replication.astdb?.path, "/var/lib/asterisk/astdb.sqlite3");

  const french = await typed(
    slave,
    ["siège", "xivo", ...Array(4).fill(""), "", "", "non", ""],
    "fr_FR.UTF-8",
  );
  assert.equal(french.code, 0, french.stdout);
  assert.match(french.stdout, /Adresse de l'autre hôte sur ce réseau \[10\.20\.0\.11\]/);
  const two = parseConfig(await slave.readFile(CONFIG_FILE));
  assert.equal(two.cluster.name, "siège");
  assert.deepEqual([two.networks[0]!.master, two.networks[0]!.slave], ["10.20.0.11", "10.20.0.12"]);
});
