/**
 * Puts what the outside client measured in one phase of the demo on the terminal.
 *
 * @module
 */

import type { Cluster } from "../support/cluster.ts";
import type { Observer, Summary } from "../support/observer.ts";
import { duration, measured, remark, strip, STRIP_WIDTH } from "./terminal.ts";

/** The observers of a cluster. */
export interface Outside {
  /** Pings the VIP each 5 ms and asks its SIP server each 50 ms. */
  readonly client: Observer;
  /** Asks by ARP each 50 ms who holds the VIP. */
  readonly watcher: Observer;
}

/** Shows one phase; returns the outage of the VIP in milliseconds. */
export async function showPhase(
  phase: string,
  { cluster, outside }: { readonly cluster: Cluster; readonly outside: Outside },
): Promise<number> {
  const vip = await outside.client.summary(phase, "vip");
  const sip = await outside.client.summary(phase, "sip");
  const arp = await outside.watcher.summary(phase, "arp");
  const total = vip.outages.reduce((sum, { outageMs }) => sum + outageMs, 0);
  measured("the VIP did not answer the client for", outageText(vip, total));
  measured(
    "its SIP server did not answer for",
    sip.outages.length === 0 ? "never silent" : duration(sip.longestOutageMs),
  );
  remark(
    `${vip.lost} of ${vip.sent} pings lost; ${refusedText(sip)}; ` +
      `two hosts seen holding the VIP: ${arp.answeredByTwo === 0 ? "never" : arp.answeredByTwo}`,
  );
  await drawOutage(vip, { cluster, outside });
  return total;
}

function outageText(vip: Summary, total: number): string {
  if (vip.outages.length === 0) return "0 ms: no ping lost";
  const times = vip.outages.length === 1 ? "" : ` in ${vip.outages.length} gaps`;
  return duration(total) + times;
}

function refusedText(sip: Summary): string {
  if (sip.refused === 0) return "no SIP request refused";
  return `${sip.refused} SIP requests refused`;
}

/** A picture of the longest outage with some time around it. */
async function drawOutage(
  vip: Summary,
  { cluster, outside }: { readonly cluster: Cluster; readonly outside: Outside },
): Promise<void> {
  const longest = vip.outages.find(({ outageMs }) => outageMs === vip.longestOutageMs);
  if (longest?.toMs === undefined || longest.toMs === null) return;
  const around = Math.max(20, longest.outageMs * 0.25);
  const time = {
    fromMs: longest.fromMs - around,
    toMs: longest.toMs + around,
    count: STRIP_WIDTH,
  };
  const who = { master: cluster.lab.mac("master"), slave: cluster.lab.mac("slave") };
  const parts = await outside.client.strip("vip", time);
  const perCharacter = (time.toMs - time.fromMs) / STRIP_WIDTH;
  console.log(`     ${strip(parts, who)}`);
  remark(`M, S: master, slave answered; · lost; ${duration(perCharacter)} per character`);
}
