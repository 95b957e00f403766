// relais doctor between two real hosts: a healthy pair, and what is broken on purpose.
import assert from "node:assert/strict";
import { Cluster } from "../support/cluster.ts";
import { sql } from "../support/host_postgres.ts";
import { CONFIG_FILE, KEY_FILE, type RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS } from "./situations.ts";
import { STEADY } from "./stage.ts";

interface Shown {
  readonly id: string;
  readonly severity: "ok" | "note" | "warning" | "failure";
  readonly checked: boolean;
  readonly found: string;
  readonly mend: string | null;
}

interface Report {
  readonly code: number;
  readonly findings: readonly Shown[];
  readonly notApplicable: readonly string[];
}

/** True of the machine that tests, whatever relais does: its clock, its kernel modules, its load. */
const OF_THE_MACHINE = ["clock.synchronised", "tools.conntrack", "tools.nft"];

async function doctor(host: RelaisHost): Promise<Report> {
  const { code, stdout, stderr } = await host.relais(["doctor", "--json"], DEADLINE_MS);
  assert.ok([0, 1, 2].includes(code), `${code}: ${stdout}${stderr}`);
  const { verdict, findings, notApplicable } = JSON.parse(stdout);
  assert.equal(verdict, code);
  return { code, findings, notApplicable };
}

function bad({ findings }: Report): Shown[] {
  return findings.filter(({ id, severity }) =>
    severity !== "ok" && severity !== "note" && !OF_THE_MACHINE.includes(id)
  );
}

/** The findings of an id, the worst of them first. */
function found(report: Report, id: string): Shown {
  const order = ["failure", "warning", "note", "ok"];
  const [worst] = report.findings.filter((each) => each.id === id)
    .toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
  assert.ok(worst !== undefined, `${id} is found: ${JSON.stringify(report)}`);
  return worst;
}

async function healthy(): Promise<Cluster> {
  const cluster = await Cluster.create({ config: { ...STEADY, data: true, database: true } });
  await cluster.start(DEADLINE_MS);
  for (const host of cluster.both) await loosen(host);
  return cluster;
}

/** What a test namespace inherits from the machine must not decide. */
async function loosen({ host }: RelaisHost): Promise<void> {
  for (const name of ["all", "default", "eth0", "eth1"]) {
    await setKernel(host, `net.ipv4.conf.${name}.rp_filter`, 0);
  }
}

async function setKernel(host: RelaisHost["host"], key: string, value: number): Promise<void> {
  await host.exec(["sh", "-c", `echo ${value} > /proc/sys/${key.replaceAll(".", "/")}`]);
}

Deno.test("relais doctor finds nothing to mend on either host of a healthy pair", async () => {
  await using cluster = await healthy();
  for (const host of cluster.both) {
    const report = await doctor(host);
    assert.deepEqual(bad(report), [], host.name);
    for (
      const id of [
        ...["daemon.running", "daemon.peer", "versions.relais", "versions.database"],
        ...["clock.offset", "trust.config", "trust.same_key", "trust.ssh", "trust.ssh_back"],
        ...["links.ping", "links.health", "links.witness", "links.mtu", "firewall.health"],
        ...["database.rights", "database.peer", "disk.database", "addresses.holder"],
      ]
    ) assert.equal(found(report, id).severity, "ok", `${host.name} ${id}`);
  }
});

Deno.test("relais doctor finds what is broken on this host, with its id and how to mend it", async () => {
  await using cluster = await healthy();
  const { master, slave } = cluster;
  const { host } = slave;
  await setKernel(host, "net.ipv4.conf.eth0.rp_filter", 1);
  await setKernel(host, "net.ipv4.conf.eth1.arp_ignore", 8);
  await host.exec(["nft", "-f", "-"], {
    stdin: "table inet guard { chain input { type filter hook input priority 0;\n" +
      "tcp dport 8460 drop\nudp dport 5060 drop\n}\n}\n",
  });
  await host.writeFile(
    "/etc/network/interfaces",
    "iface eth0 inet static\n  up ip a add 10.20.0.10/24\n",
  );
  await host.writeFile(
    "/etc/xivo/ha.conf",
    '{"node_type": "slave", "remote_address": "10.20.0.11"}',
  );
  await host.writeFile(
    "/etc/cron.d/xivo-ha-slave",
    "* * * * * root /usr/sbin/xivo-check-master-status 10.20.0.11\n",
  );
  await host.exec(["ip", "link", "set", "eth1", "mtu", "1400"]);
  await host.exec(["chmod", "644", KEY_FILE]);
  const report = await doctor(slave);
  assert.equal(report.code, 2);
  const expected: Readonly<Record<string, readonly [string, RegExp]>> = {
    "addresses.rp_filter": ["warning", /eth0/],
    "addresses.arp": ["failure", /arp_ignore 8/],
    "firewall.health": ["failure", /8460.*guard/],
    "firewall.sip": ["failure", /5060.*guard/],
    "addresses.configured": ["failure", /interfaces.*10\.20\.0\.10/],
    "rivals.xivo": ["failure", /node_type is slave/],
    "links.mtu": ["failure", /1400/],
    "trust.key": ["failure", /readable|may read/],
  };
  for (const [id, [severity, text]] of Object.entries(expected)) {
    const finding = found(report, id);
    assert.equal(finding.severity, severity, id);
    assert.match(finding.found, text);
    assert.ok(finding.mend !== null && finding.mend.length > 3, id);
  }
  // The other host sees the wall from outside.
  assert.equal(found(await doctor(master), "links.health").severity, "failure");
  const quiet = await slave.relais(["doctor", "--quiet"], DEADLINE_MS);
  assert.equal(quiet.code, 2);
  assert.match(quiet.stdout, /FAILURE firewall\.health/);
  assert.doesNotMatch(quiet.stdout, /^ {2}ok/m);
  assert.ok(!quiet.stdout.includes("\x1b"), "no colours where the output is no terminal");
});

Deno.test("relais doctor finds a peer with another key, configuration and database rights", async () => {
  await using cluster = await healthy();
  const { master, slave } = cluster;
  await slave.stop("leave");
  await slave.host.exec(["rm", KEY_FILE]);
  await slave.host.exec(["/usr/local/bin/relais", "keygen", KEY_FILE]);
  const toml = await slave.host.readFile(CONFIG_FILE);
  await slave.host.writeFile(CONFIG_FILE, toml.replace('name = "demo"', 'name = "other"'));
  await sql(slave.host, { database: "postgres", text: "CREATE ROLE helper SUPERUSER LOGIN" });
  await sql(slave.host, { database: "postgres", text: "DROP DATABASE asterisk" });
  await master.host.exec(["rm", "/etc/relais/ssh/known_hosts"]);
  const report = await doctor(slave);
  assert.equal(report.code, 2);
  assert.equal(found(report, "daemon.running").severity, "failure");
  assert.equal(found(report, "trust.same_key").severity, "failure");
  assert.equal(found(report, "trust.config").severity, "failure");
  assert.match(found(report, "database.rights").found, /does not exist/);
  // The master cannot call back as it pins no key any more, and says so through the slave.
  assert.match(found(report, "trust.ssh_back").found, /host key/i);
  const there = await doctor(master);
  assert.match(found(there, "trust.known_hosts").found, /10\.20\.0\.12/);
  assert.equal(found(there, "trust.ssh").severity, "failure");
  const silent = found(there, "database.peer");
  assert.deepEqual([silent.severity, silent.checked], ["warning", false]);
  // The cluster's two databases are gone in part: it is not used again.
});

Deno.test("relais doctor refuses a bad configuration as check-config does", async () => {
  await using cluster = await Cluster.create({ config: STEADY });
  const { master } = cluster;
  await master.host.writeFile(CONFIG_FILE, "[nonsense]\n");
  assert.equal((await master.relais(["doctor"])).code, 65);
  await master.host.exec(["rm", CONFIG_FILE]);
  assert.equal((await master.relais(["doctor"])).code, 66);
  assert.equal((await master.relais(["doctor", "--nonsense"])).code, 64);
});
