// Removal and purge: relais goes, and everything of it; the PBX runs as it did before.
import assert from "node:assert/strict";
import { filesOf, namedFiles, networkOf, processesOf } from "./footprint.ts";
import type { LabHost } from "./lab_host.ts";
import { prepared } from "./prepared.ts";
import {
  CONFIG_FILE,
  installRelais,
  labToml,
  offerRelais,
  pairHosts,
  sql,
  untilNormal,
} from "./provision.ts";
import { SipPhone } from "./sip_phone.ts";
import { story } from "./stage.ts";
import { startAsterisk } from "./telephony.ts";

const DEADLINE_MS = 60_000;
const APT_DEADLINE_MS = 180_000;
const AUTHORIZED_KEYS = "/root/.ssh/authorized_keys";
/** Somebody else's line, which must stay. */
const ADMIN_LINE =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHZkbyBub3QgdG91Y2ggdGhpcyBsaW5lIG9mIG1pbmU admin@desk\n";
/** What it may have left in systemd, by unit. */
const UNITS = ["relais.service", "relais-cleanup.service"];

story("story 10: remove and purge leave nothing", async (scene) => {
  const { laboratory, master, slave, outside, note } = scene;
  const { hosts } = laboratory;
  const before = new Map<LabHost, Footprint>();
  for (const host of hosts) {
    await host.writeFile(AUTHORIZED_KEYS, ADMIN_LINE, { mode: "600" });
    await offerRelais(host);
    before.set(host, await footprint(host));
  }
  await Promise.all(hosts.map((host) => installRelais(host)));
  await master.writeFile(CONFIG_FILE, labToml());
  await pairHosts(master);
  for (const host of [slave, master]) await host.exec(["systemctl", "restart", "relais"]);
  await untilNormal(laboratory);
  await using desk = await SipPhone.create(laboratory, "1001");
  await using other = await SipPhone.create(laboratory, "1002");
  await outside.untilHolder("master", { deadlineMs: DEADLINE_MS });
  await outside.untilSip(DEADLINE_MS);
  await desk.register();
  await desk.answer();
  await other.untilCallable("1001", DEADLINE_MS);
  await master.exec(["relais", "sync"], { deadlineMs: APT_DEADLINE_MS });
  for (const host of hosts) assert.ok((await gates(host)) !== "", `a gate on ${host.name}`);

  // Removed from the one that serves: the other serves, with the registration of the phone.
  await outside.mark("apt remove, master");
  await apt(master, "remove");
  await outside.untilHolder("slave", { deadlineMs: DEADLINE_MS });
  await outside.untilPhoneArp("slave", { deadlineMs: DEADLINE_MS });
  await other.untilCallable("1001", DEADLINE_MS);
  note("apt remove, master", await outside.seen("apt remove, master"));
  await isRemoved(master, before.get(master)!);

  // Removed from the last one: nobody holds the VIPs.
  await apt(slave, "remove");
  await isRemoved(slave, before.get(slave)!);
  for (const network of ["voip", "data"] as const) {
    const ping = ["ping", "-q", "-c", "3", "-i", "0.3", "-W", "1", laboratory.vip(network)];
    assert.notEqual((await laboratory.tool.try(["net", "phone", ...ping])).code, 0, network);
  }

  for (const host of hosts) {
    await apt(host, "purge");
    await isPurged(host, before.get(host)!);
  }

  // The PBX as it was before relais came: started by systemd, its address mounted by hand.
  const vip = laboratory.vip();
  await master.exec(["ip", "address", "add", `${vip}/24`, "dev", "eth0"]);
  // Its Asterisk is bound to all addresses: answers come from the one that was asked only with this.
  await master.exec(["ip", "route", "replace", "10.20.0.0/24", "dev", "eth0", "src", vip]);
  await startAsterisk(master);
  await outside.untilHolder("master", { deadlineMs: DEADLINE_MS });
  await outside.untilSip(DEADLINE_MS);
  await desk.register();
  assert.equal(await other.tryCall("1001"), null);
}, { from: prepared() });

interface Footprint {
  readonly files: readonly string[];
  readonly named: readonly string[];
  readonly network: Record<string, string>;
  readonly databases: string;
}

async function footprint(host: LabHost): Promise<Footprint> {
  return {
    files: await filesOf(host),
    named: await namedFiles(host, "relais"),
    network: await networkOf(host),
    databases: await sql(host, "postgres", "SELECT datname FROM pg_database ORDER BY 1"),
  };
}

async function apt(host: LabHost, verb: "remove" | "purge"): Promise<void> {
  await host.exec(["apt-get", "-y", verb, "relais"], { deadlineMs: APT_DEADLINE_MS });
}

/** Drop-ins of the gate, one a line. */
async function gates(host: LabHost): Promise<string> {
  return await host.read(["find", "/etc/systemd", "-name", "*relais-gate*"]);
}

/**
 * Nothing of it is at work any more; the configuration is still there. (So is, as with every Debian
 * package, the link by which systemd remembers that its unit was enabled.)
 */
async function isRemoved(host: LabHost, before: Footprint): Promise<void> {
  assert.deepEqual(await networkOf(host), before.network, host.name);
  assert.equal(await processesOf(host, "relais"), "", host.name);
  assert.equal(await gates(host), "", host.name);
  assert.equal(await host.exists("/run/relais"), false, host.name);
  assert.equal(await host.readFile(CONFIG_FILE), labToml(), "the configuration outlives a removal");
  await hasNoUnits(host);
}

/** No trace of it; what others had is as it was. */
async function isPurged(host: LabHost, before: Footprint): Promise<void> {
  assert.equal(await host.readFile(AUTHORIZED_KEYS), ADMIN_LINE);
  const after = await footprint(host);
  assert.deepEqual(after.named, before.named, `${host.name}: files with its name`);
  const [was, is] = [new Set(before.files), new Set(after.files)];
  const news = after.files.filter((line) => !was.has(line));
  const gone = before.files.filter((line) => !is.has(line));
  assert.deepEqual({ news, gone }, { news: [], gone: [] }, host.name);
  assert.deepEqual(after.network, before.network, host.name);
  assert.equal(after.databases, before.databases, host.name);
  await hasNoUnits(host);
  const all = await host.read(["systemctl", "list-units", "--all", "--plain", "--no-legend"]);
  assert.doesNotMatch(all, /relais/, host.name);
  const asterisk = ["systemctl", "show", "-p", "DropInPaths", "--value", "asterisk.service"];
  assert.equal(await host.read(asterisk), "");
}

async function hasNoUnits(host: LabHost): Promise<void> {
  for (const unit of UNITS) {
    const load = await host.read(["systemctl", "show", "-p", "LoadState", "--value", unit]);
    assert.equal(load, "not-found", `${unit} on ${host.name}`);
  }
}
