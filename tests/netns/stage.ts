/**
 * One running cluster with its outside observers that the tests of a file share: each test finds it in the
 * normal state, whatever the test before did to it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Cluster, type ClusterOptions } from "../support/cluster.ts";
import type { TestHost } from "../support/host.ts";
import type { Lab } from "../support/lab.ts";
import type { Observer, Summary } from "../support/observer.ts";
import { PBX_PID_FILE } from "../support/pbx.ts";
import { poll } from "../support/poll.ts";
import type { ConfigOptions } from "../support/relais_config.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS } from "./situations.ts";

/**
 * A death is believed after 2 s: a test machine that stands still for less than a second changes nothing.
 * The service goes back as soon as the master is ready.
 */
export const STEADY: ConfigOptions = {
  heartbeat: [
    "interval_ms = 100",
    "isolated_after_ms = 1000",
    "dead_after_ms = 2000",
    "unfit_after_ms = 2000",
    "boot_grace_ms = 4000",
  ],
  failback: ['mode = "auto"', "stable_s = 0"],
  data: false,
};

/** For tests that are not about detection: a machine that stands still for seconds goes on serving. */
export const PATIENT: ConfigOptions = {
  ...STEADY,
  heartbeat: [
    "interval_ms = 200",
    "isolated_after_ms = 5000",
    "dead_after_ms = 8000",
    "unfit_after_ms = 8000",
    "boot_grace_ms = 4000",
  ],
};

/** What a test is given. */
export interface Scene {
  readonly cluster: Cluster;
  readonly lab: Lab;
  readonly master: RelaisHost;
  readonly slave: RelaisHost;
  /** Asks the VIPs by ping and SIP, from the client's place. */
  readonly client: Observer;
  /** Asks by ARP who holds the first VIP. */
  readonly watcher: Observer;
  /** What the client lived through since the test began. */
  readonly lived: (target: "vip" | "sip" | "data") => Promise<Summary>;
  /** What a node noted in its history since the test began, as ids of rows and steps. */
  readonly decided: (host: RelaisHost) => Promise<string[]>;
}

/** Options of one test. */
export interface SceneOptions {
  /** Two holders are what the test is about. Default: there must never be two. */
  readonly twoHolders?: boolean;
}

/** Tests that share a cluster. */
export interface Stage {
  test(name: string, work: (scene: Scene) => Promise<void>, options?: SceneOptions): void;
}

/** Registers a cluster for the tests of this file: made before the first one, ended after the last. */
export function useStage(options: ClusterOptions = {}): Stage {
  let shared: { cluster: Cluster; client: Observer; watcher: Observer } | null = null;
  let number = 0;
  Deno.test.beforeAll(async () => {
    const cluster = await Cluster.create({ ...options, config: { ...STEADY, ...options.config } });
    try {
      await cluster.start(DEADLINE_MS);
      shared = { cluster, client: await cluster.observe(), watcher: await cluster.watch() };
    } catch (error) {
      await cluster.close();
      throw error;
    }
  });
  Deno.test.afterAll(async () => {
    if (shared === null) return;
    await shared.client.close();
    await shared.watcher.close();
    await shared.cluster.close();
  });
  return {
    test(name, work, { twoHolders = false } = {}): void {
      Deno.test({
        name,
        // The cluster's processes come and go in tests that did not start them.
        sanitizeOps: false,
        sanitizeResources: false,
        fn: async () => {
          if (shared === null) throw new Error("Cannot test as the cluster was not made");
          const { cluster, client, watcher } = shared;
          await mend(cluster, client);
          const phase = `${++number}`;
          await Promise.all([client.mark(phase), watcher.mark(phase)]);
          const { lab, master, slave } = cluster;
          const startedAt = new Date().toISOString();
          const decided = async (host: RelaisHost): Promise<string[]> =>
            (await host.status())?.history.filter(({ at }) => at >= startedAt)
              .map(({ rule }) => rule) ?? [];
          const lived = (target: string): Promise<Summary> => client.summary(phase, target);
          try {
            await work({ cluster, lab, master, slave, client, watcher, lived, decided });
            if (!twoHolders) await assertOneHolder(watcher, phase);
          } catch (error) {
            throw await withHistories(error, cluster, startedAt);
          }
        },
      });
    },
  };
}

/** The error of a test with what both nodes decided since it began: the lab is gone when somebody reads it. */
async function withHistories(error: unknown, cluster: Cluster, since: string): Promise<Error> {
  const told = await Promise.all(cluster.both.map(async (host) => {
    const history = (await host.status().catch(() => null))?.history ?? null;
    const lines = history === null
      ? ["its relais does not answer"]
      : history.filter(({ at }) => at >= since)
        .map(({ at, rule, from, to, why }) => `${at} ${rule} ${from} -> ${to}: ${why}`);
    return `${host.name} since ${since}:\n  ${lines.join("\n  ")}\n`;
  }));
  const text = error instanceof Error ? error.message : String(error);
  return new Error(`${text}\n${told.join("")}`, { cause: error });
}

/** Makes everything whole again and waits until the master serves and the client is answered by it. */
async function mend(cluster: Cluster, client: Observer): Promise<void> {
  const { lab } = cluster;
  await lab.join();
  for (const host of cluster.both) {
    if (host.host.on) await host.host.thaw();
    await host.host.cable("plug");
    if (!host.host.on) await cluster.boot(host);
    else if (host.daemon === null) host.start();
  }
  await cluster.untilNormal(DEADLINE_MS);
  const holder = lab.mac("master");
  await client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder });
  await client.untilUp("sip", { deadlineMs: DEADLINE_MS, holder: "test PBX on master" });
  await untilNeighbour(lab, "master");
}

async function assertOneHolder(watcher: Observer, phase: string): Promise<void> {
  const { answeredByTwo } = await poll(async () => {
    const summary = await watcher.summary(phase, "arp");
    return summary.sent > 0 ? summary : null;
  }, { deadlineMs: DEADLINE_MS, everyMs: 50, what: "a question of the watcher" });
  assert.equal(answeredByTwo, 0, "two hosts answered for the VIP at a time");
}

/** Process id of the PBX on a host; null when it has none. */
export async function pbxPid(host: RelaisHost): Promise<string | null> {
  return host.host.exists(PBX_PID_FILE) ? (await host.host.readFile(PBX_PID_FILE)).trim() : null;
}

/** The MAC that a machine would send packets for `address` to; null when it knows none. */
export async function neighbour(host: TestHost, address: string): Promise<string | null> {
  const { stdout } = await host.exec(["ip", "-json", "neigh", "show", "to", address]);
  const [entry] = JSON.parse(stdout || "[]") as { lladdr?: string }[];
  return entry?.lladdr ?? null;
}

/** Waits until the client would send packets for the first VIP to that host. */
export async function untilNeighbour(lab: Lab, name: "master" | "slave"): Promise<void> {
  await poll(async () => await neighbour(lab.client, lab.vip(0)) === lab.mac(name), {
    deadlineMs: DEADLINE_MS,
    everyMs: 50,
    what: `the ARP entry of the client for the ${name}`,
    instead: async () => `${await neighbour(lab.client, lab.vip(0))}`,
  });
}

/** Waits until the observer has asked for so long since the test began. */
export async function untilAsked(scene: Scene, seconds: number): Promise<void> {
  await poll(async () => (await scene.lived("sip")).sent >= seconds * 20, {
    deadlineMs: DEADLINE_MS,
    everyMs: 200,
    what: `${seconds} s of questions`,
  });
}

/** Waits until `relais status` of the host shows an alert that matches. */
export async function untilAlert(host: RelaisHost, pattern: RegExp): Promise<void> {
  await host.waitFor(({ alerts }) => alerts.some((alert) => pattern.test(alert)), {
    deadlineMs: DEADLINE_MS,
    what: `an alert like ${pattern}`,
  });
}

/** The orderly end of a daemon by SIGTERM: its exit status. */
export async function terminate(host: RelaisHost): Promise<number> {
  const { daemon } = host;
  if (daemon === null) throw new Error(`Cannot end relais on ${host.name} as it does not run`);
  await daemon.signal("SIGTERM");
  return (await daemon.ended(DEADLINE_MS)).code;
}
