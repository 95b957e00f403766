/**
 * Which host serves, as the stories must see it: from outside on both networks, and that the other host
 * does not serve as well (by its kernel and its systemd, not by its relais).
 *
 * @module
 */

import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import { INTERFACE, type LabHost, type NetworkName } from "./lab_host.ts";
import type { Laboratory } from "./laboratory.ts";
import { TARGETS } from "./outside.ts";
import type { SipPhone } from "./sip_phone.ts";
import type { Scene } from "./stage.ts";

/** A takeover with the start of Asterisk, or a boot and a hand-back, on a busy machine, in milliseconds. */
export const SERVED_DEADLINE_MS = 120_000;
/** From a registration to its copy on the other host, which a busy machine makes slow, in milliseconds. */
const COPIED_DEADLINE_MS = 60_000;
const NETWORKS: readonly NetworkName[] = ["voip", "data"];
const SPOOL = "/var/lib/relais/spool/astdb";

/** Waits until a host answers on both VIPs, is in the phone's ARP table, and Asterisk answers. */
export async function untilServedBy(
  host: "master" | "slave",
  { outside }: Pick<Scene, "outside">,
): Promise<void> {
  const deadlineMs = SERVED_DEADLINE_MS;
  for (const network of NETWORKS) await outside.untilHolder(host, { network, deadlineMs });
  for (const network of NETWORKS) await outside.untilPhoneArp(host, { network, deadlineMs });
  await outside.untilSip(deadlineMs);
}

/** Waits until nothing answers on the VIPs. */
export async function untilNobodyServes({ outside }: Pick<Scene, "outside">): Promise<void> {
  await poll(() => !TARGETS.some((target) => outside.phone.isUp(target)), {
    deadlineMs: SERVED_DEADLINE_MS,
    everyMs: 20,
    what: "silence on the VIPs",
  });
}

/** Names of VIPs' networks that the host's kernel has an address for. */
export async function heldVips(host: LabHost, laboratory: Laboratory): Promise<string[]> {
  const held: string[] = [];
  for (const network of NETWORKS) {
    const show = ["ip", "-json", "-4", "address", "show", "dev", INTERFACE[network]];
    const [device] = JSON.parse(await host.read(show)) as {
      readonly addr_info: readonly { readonly local: string }[];
    }[];
    const addresses = device?.addr_info.map(({ local }) => local) ?? [];
    if (addresses.includes(laboratory.vip(network))) held.push(network);
  }
  return held;
}

/** Exactly one of two hosts that are up serves: VIPs and Asterisk are there, and not on the other. */
export async function assertServesAlone(
  server: LabHost,
  other: LabHost,
  laboratory: Laboratory,
): Promise<void> {
  const look = async (host: LabHost) => ({
    vips: await heldVips(host, laboratory),
    asterisk: await host.isActive("asterisk.service"),
  });
  assert.deepEqual(await look(server), { vips: NETWORKS, asterisk: true }, server.name);
  assert.deepEqual(await look(other), { vips: [], asterisk: false }, other.name);
}

/** Waits until the newest astdb that a host got from its peer has the phone's contact; how long it took. */
export async function untilContactCopied(host: LabHost, phone: SipPhone): Promise<number> {
  const start = performance.now();
  const newest = `ls -t ${SPOOL}/*-*-* 2>/dev/null | grep -v json | head -1`;
  const query = "SELECT key FROM astdb WHERE key LIKE '/registrar/contact/%'";
  const script = `file=$(${newest}); test -n "$file" && sqlite3 -readonly "$file" "${query}"`;
  let seen = "";
  await poll(async () => {
    const { stdout, stderr } = await host.try(["sh", "-c", script]);
    seen = stdout + stderr;
    return stdout.includes(`/registrar/contact/${phone.extension};`);
  }, {
    deadlineMs: COPIED_DEADLINE_MS,
    everyMs: 100,
    what: `the contact of ${phone.extension} in an astdb that ${host.name} received`,
    instead: () => seen,
  });
  return Math.round(performance.now() - start);
}
