/**
 * What speaks against a new configuration on this host, found before anything of it is in force: a reload
 * must not make a node unfit, cut it off, or declare its peer dead.
 *
 * @module
 */

import { isSame } from "../config/changes.ts";
import { urlHost } from "../os/ip_bytes.ts";
import type { Clock } from "../os/clock.ts";
import type { Situation } from "../core/situation.ts";
import type { Running } from "./running.ts";

/** Who lives is heard within this time. */
const HEAR_MS = 1500;
const HEAR_POLL_MS = 20;
/** First packets may be lost to address resolution. */
const GREET_EVERY_MS = 250;
/** A PBX that runs answers within this time. */
const TELEPHONY_MS = 2000;
const VIP_PROBES = 3;
/** Pause between two probes: far more than an answer takes. */
const VIP_PROBE_MS = 60;

/** Sentences; empty: nothing speaks against it. `to` is prepared, `from` decides still. */
export async function findObjections(
  from: Running,
  to: Running,
  clock: Clock,
): Promise<readonly string[]> {
  const serves = from.node.serves;
  const found = serves
    ? [...await telephonyObjection(from, to), ...await vipsInUse(from, to, clock)]
    : [];
  return [...found, ...await untilNotWorse(from, to, clock)];
}

/** What would still be worse after everybody had time to be heard, at the new pace, on all networks. */
async function untilNotWorse(from: Running, to: Running, clock: Clock): Promise<string[]> {
  const removed = from.config.networks.map(({ name }) => name)
    .filter((name) => !to.config.networks.some((network) => network.name === name));
  const end = clock.nowMs() + HEAR_MS;
  let greetAt = 0;
  for (;;) {
    if (clock.nowMs() >= greetAt) {
      greetAt = clock.nowMs() + GREET_EVERY_MS;
      to.node.links.greet();
    }
    await clock.sleep(HEAR_POLL_MS);
    const { last } = from.node.loop;
    if (last === null) return ["the node has not started"];
    const outlook = to.node.outlook(from.node);
    const worse = worsened(last.situation, outlook, { removed });
    const isHeard = last.situation.verdict !== "alive" || outlook.verdict === "alive";
    if ((worse.length === 0 && isHeard) || clock.nowMs() >= end) return worse;
  }
}

/** What would be worse than it is, in words. Pure. */
export function worsened(
  now: Pick<Situation, "unfitReasons" | "isolated" | "verdict">,
  then: Pick<Situation, "unfitReasons" | "isolated" | "isolatedWhy" | "verdict">,
  { removed }: { readonly removed: readonly string[] },
): string[] {
  const unfit = then.unfitReasons.filter((reason) => !now.unfitReasons.includes(reason));
  return [
    ...unfit.map((reason) => `this node would be unfit: ${reason}`),
    ...(then.isolated && !now.isolated ? [`this node would be cut off: ${then.isolatedWhy}`] : []),
    ...(removed.length > 0 && now.verdict === "alive" && then.verdict !== "alive"
      ? [`the peer is heard over ${removed.join(", ")} only: mend the other networks first`]
      : []),
  ];
}

/** A check that nothing answers would make the node unfit within moments. */
async function telephonyObjection(from: Running, to: Running): Promise<string[]> {
  const { sip } = to.config.services.health;
  if (sip === null || isSame(sip, from.config.services.health.sip)) return [];
  if (await to.node.telephonyAnswers(TELEPHONY_MS)) return [];
  return [`services.health.sip: nothing answers SIP OPTIONS at ${urlHost(sip.host)}:${sip.port}`];
}

/** RFC 5227 in spirit: a VIP that is new to this host is asked for before it is mounted. */
async function vipsInUse(from: Running, to: Running, clock: Clock): Promise<string[]> {
  const known = new Set(from.config.networks.flatMap(({ vips }) => vips));
  const added = new Set(
    to.config.networks.flatMap(({ vips }) => vips)
      .filter((vip) => !known.has(vip)),
  );
  if (added.size === 0) return [];
  for (let probe = 0; probe < VIP_PROBES; probe++) {
    for (const { vipLink } of to.node.links.views) vipLink?.probe();
    await clock.sleep(VIP_PROBE_MS);
  }
  return to.node.links.views.flatMap(({ vipLink }) => vipLink?.evidence() ?? [])
    .filter(({ vip, lastAnswerBy }) => added.has(vip) && lastAnswerBy !== null)
    .map(({ vip, lastAnswerMac }) => `the new VIP ${vip} is in use already, by ${lastAnswerMac}`);
}
