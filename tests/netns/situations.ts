/**
 * What the tests with the real program share: the cluster that most of them use, and the questions that
 * they ask of it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { StatusDocument } from "../../src/health/types.ts";
import { Cluster, type ClusterOptions } from "../support/cluster.ts";
import type { TestHost } from "../support/host.ts";
import type { Observer } from "../support/observer.ts";
import { PBX_COMMANDS } from "../support/pbx.ts";
import { callable, register } from "../support/phone.ts";
import { poll } from "../support/poll.ts";
import type { ConfigOptions } from "../support/relais_config.ts";
import type { RelaisHost } from "../support/relais_host.ts";

/** Bound of every wait: far above what is normal, so that a slow machine is no failure. */
export const DEADLINE_MS = 60_000;

/** Quick decisions, and a hand-back after a second. */
export const FAST: ConfigOptions = {
  heartbeat: ['preset = "fast"'],
  failback: ['mode = "auto"', "stable_s = 1"],
};

/** A cluster with {@linkcode FAST}, started, the master serving. */
export async function startedCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await Cluster.create({ ...options, config: { ...FAST, ...options.config } });
  try {
    await cluster.start(DEADLINE_MS);
  } catch (error) {
    await cluster.close();
    throw error;
  }
  return cluster;
}

/** The services run on that host, by their own status command. */
export async function servicesRun({ host }: RelaisHost): Promise<boolean> {
  return (await host.try(PBX_COMMANDS.status)).code === 0;
}

/** The VIPs of the lab's networks that a host has. */
export async function heldVips(cluster: Cluster, host: RelaisHost): Promise<string[]> {
  const addresses = await host.addresses();
  return cluster.lab.networks.map((_, i) => cluster.lab.vip(i))
    .filter((vip) => addresses.some((address) => address.startsWith(`${vip}/`)));
}

/** Waits until the host serves: VIPs of all networks, services, and the client is answered by it. */
export async function untilServes(
  cluster: Cluster,
  host: RelaisHost,
  client: Observer,
): Promise<void> {
  const name = host === cluster.master ? "master" : "slave";
  await host.untilState("active", DEADLINE_MS);
  await client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder: cluster.lab.mac(name) });
  await client.untilUp("sip", { deadlineMs: DEADLINE_MS, holder: `test PBX on ${name}` });
  assert.deepEqual(
    await heldVips(cluster, host),
    cluster.lab.networks.map((_, i) => cluster.lab.vip(i)),
  );
}

/** Registers a phone at the VIP. */
export async function phoneRegisters(cluster: Cluster, user: string): Promise<void> {
  const server = cluster.lab.vip(0);
  await poll(async () => (await register(cluster.lab.client, { user, server })).status === 200, {
    deadlineMs: DEADLINE_MS,
    what: `the registration of phone ${user}`,
  });
}

/** Asks the VIP whether a phone can be called: the SIP status. */
export async function askFor(cluster: Cluster, user: string): Promise<number> {
  return (await callable(cluster.lab.client, { user, server: cluster.lab.vip(0) })).status;
}

/** Waits until the node has received a data set. */
export async function untilReceived(
  host: RelaisHost,
  set: "astdb" | "database" | "files",
): Promise<void> {
  await host.waitFor(
    ({ dataSets }) =>
      dataSets.some((each) =>
        each.set === set && each.direction === "received" && each.ageMs !== null
      ),
    { deadlineMs: DEADLINE_MS, what: `the received ${set}` },
  );
}

/** Never did two hosts answer for the VIP at a time, as far as the watcher saw. */
export async function assertNeverTwoHolders(watcher: Observer): Promise<void> {
  for (const { phase, targets } of await watcher.report()) {
    assert.equal(targets.arp?.answeredByTwo, 0, `two holders in phase ${phase}`);
  }
}

/** What `relais status --json` prints on that host. */
export async function statusByCli(host: RelaisHost): Promise<StatusDocument> {
  const { code, stdout, stderr } = await host.relais(["status", "--json"]);
  assert.equal(code, 0, stderr);
  return StatusDocument.parse(JSON.parse(stdout));
}

/** The line of one data set in a status. */
export function dataSet(
  { dataSets }: StatusDocument,
  set: "astdb" | "database" | "files",
  direction: "sent" | "received",
): StatusDocument["dataSets"][number] {
  const found = dataSets.find((each) => each.set === set && each.direction === direction);
  assert.ok(found !== undefined, `${set} ${direction} is in the status`);
  return found;
}

/** `expected` stand in `seen` in this order, whatever else is between them. */
export function assertInOrder(seen: readonly string[], expected: readonly string[]): void {
  let at = -1;
  for (const each of expected) {
    at = seen.indexOf(each, at + 1);
    assert.ok(at >= 0, `${each} comes in its place among: ${seen.join(", ")}`);
  }
}

/** The route of the first network leaves from its VIP exactly while the host serves. */
export async function assertVipRoute(
  { lab }: Cluster,
  { host, name }: RelaisHost,
  serves: boolean,
): Promise<void> {
  const { stdout } = await host.exec(["ip", "-json", "route", "get", "192.0.2.1"]);
  const [route] = JSON.parse(stdout) as { gateway: string; prefsrc: string }[];
  assert.deepEqual(
    { gateway: route?.gateway, prefsrc: route?.prefsrc },
    {
      gateway: lab.address("gateway"),
      prefsrc: serves ? lab.vip(0) : lab.address(name === "master" ? "master" : "slave"),
    },
    name,
  );
}

/**
 * Waits until a machine's neighbour table has this MAC for the address. A machine that sends nothing to it
 * learns that from announcements alone.
 */
export async function untilLearnt(host: TestHost, address: string, mac: string): Promise<void> {
  const show = async (): Promise<string> =>
    (await host.exec(["ip", "neigh", "show", "to", address])).stdout;
  await poll(async () => (await show()).includes(` lladdr ${mac} `), {
    deadlineMs: DEADLINE_MS,
    what: `${mac} for ${address} in the neighbour table of ${host.name}`,
    instead: show,
  });
}

/** A pair that has just begun: the slave learns the epoch with the next answer of the master. */
export async function untilSameEpoch({ master, slave }: Cluster): Promise<void> {
  const { epoch } = (await master.status())!.node;
  await slave.waitFor(({ node }) => node.epoch === epoch, {
    deadlineMs: DEADLINE_MS,
    what: "the epoch of the master",
  });
}
