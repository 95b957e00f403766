/**
 * `make bench-frozen`: for how long the kernel of a host that stood still answers for a VIP when it goes on,
 * with its clocks running on (frozen) or stopped as well (paused); with the lifetime of the address alone,
 * and with a lease in netfilter that expires at the same time. Writes `dist/results/frozen.json`.
 *
 * TRIALS: of each kind, default 10. What is measured is the kernel alone: no daemon runs in the machine.
 *
 * @module
 */

import { REPOSITORY } from "../../support/shown_paths.ts";
import { earNowMs, VipEar } from "../../support/vip_ear.ts";
import { poll } from "../../support/poll.ts";
import {
  Machine,
  MACHINE_MAC,
  makeImage,
  OUTSIDE_ADDRESS,
  type Stillness,
  TAP,
} from "./machine.ts";

const FOLDER = `${REPOSITORY}/dist/frozen`;
const RESULT_FILE = `${REPOSITORY}/dist/results/frozen.json`;
const VIP = "10.20.0.10";
const LIFETIME_S = 3;
/** Far beyond the lifetime. */
const STILL_MS = 8000;
/** A paused machine may answer for all of the lifetime that it has left. */
const LISTEN_MS = 5000;

/** What lets the VIP lapse. */
type Means =
  /** The address' own lifetime, as relais does it. */
  | "lifetime"
  /** The same, and frames leave only while an element of a set of netfilter lives. */
  | "lease";

/** One awakening. */
interface Trial {
  /** When the last frame for the VIP was heard, ms after the machine went on; null: none. */
  readonly lastMs: number | null;
  readonly frames: number;
}

/** Egress sees all that leaves, packet sockets included; `nft` must run again to lengthen the lease. */
const LEASE = [
  "table netdev lease {",
  "set vips { type ipv4_addr; flags timeout; };",
  "chain out { type filter hook egress device eth0 priority 0; policy accept;",
  `arp saddr ip ${VIP} arp saddr ip != @vips drop;`,
  `ip saddr ${VIP} ip saddr != @vips drop; }; }`,
].join(" ");

async function mount(machine: Machine, means: Means): Promise<void> {
  await machine.run("nft flush ruleset");
  if (means === "lease") {
    await machine.run(`nft '${LEASE}'`);
    await machine.run(`nft 'add element netdev lease vips { ${VIP} timeout ${LIFETIME_S}s }'`);
  }
  const life = `valid_lft ${LIFETIME_S} preferred_lft ${LIFETIME_S}`;
  await machine.run(`ip address replace ${VIP}/32 dev eth0 ${life}`);
}

async function trial(
  machine: Machine,
  { how, means, ear }: { readonly how: Stillness; readonly means: Means; readonly ear: VipEar },
): Promise<Trial> {
  const mountedAt = earNowMs();
  await mount(machine, means);
  await poll(() => ear.since(mountedAt).length > 0, {
    deadlineMs: 20_000,
    everyMs: 5,
    what: "a frame of the machine for its VIP",
  });
  await machine.still(how);
  await pause(STILL_MS);
  const wokenAt = earNowMs();
  await machine.goOn(how);
  await pause(LISTEN_MS);
  const heard = ear.since(wokenAt);
  const last = heard.at(-1);
  return { lastMs: last === undefined ? null : last.atMs - wokenAt, frames: heard.length };
}

async function main(): Promise<void> {
  const trials = Number(Deno.env.get("TRIALS") ?? "10");
  await makeImage(FOLDER);
  const results: Record<string, unknown>[] = [];
  await using machine = await Machine.boot(FOLDER);
  console.log(`booted, clock source ${machine.clockSource}`);
  for (const everyMs of [1, 20]) {
    await using ear = await VipEar.start(machine, {
      interfaceName: TAP,
      mac: MACHINE_MAC,
      vip: VIP,
      own: OUTSIDE_ADDRESS,
      everyMs,
    });
    for (const how of ["frozen", "paused"] as const) {
      for (const means of ["lifetime", "lease"] as const) {
        const seen: Trial[] = [];
        for (let n = 0; n < trials; n++) seen.push(await trial(machine, { how, means, ear }));
        const result = { how, means, askedEveryMs: everyMs, ...sums(seen) };
        results.push(result);
        console.log(JSON.stringify(result));
      }
    }
  }
  await Deno.mkdir(RESULT_FILE.replace(/\/[^/]*$/, ""), { recursive: true });
  const about = { trials, stillMs: STILL_MS, lifetimeS: LIFETIME_S, clock: machine.clockSource };
  await Deno.writeTextFile(RESULT_FILE, `${JSON.stringify({ ...about, results }, null, 2)}\n`);
  console.log(`Written: ${RESULT_FILE}`);
}

function sums(seen: readonly Trial[]): Record<string, unknown> {
  const last = seen.map(({ lastMs }) => lastMs ?? 0).sort((a, b) => a - b);
  const frames = seen.map((each) => each.frames).sort((a, b) => a - b);
  const round = (value: number): number => Math.round(value * 10) / 10;
  return {
    trials: seen.length,
    silent: seen.filter((each) => each.frames === 0).length,
    lastMs: { median: round(last[last.length >> 1] ?? 0), worst: round(last.at(-1) ?? 0) },
    frames: { median: frames[frames.length >> 1] ?? 0, worst: frames.at(-1) ?? 0 },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

await main();
