/**
 * A pair under the soak: the real program on two hosts at `fast`, an outside client and an ARP watcher; and
 * the ways in which the service is made to change hands. Each way starts and ends with the master serving.
 *
 * @module
 */

import type { StatusDocument } from "../../src/health/types.ts";
import { Cluster } from "../support/cluster.ts";
import { Observer } from "../support/observer.ts";
import { poll } from "../support/poll.ts";
import type { RelaisHost } from "../support/relais_host.ts";

/** Bound of each wait: far above what is normal. */
export const DEADLINE_MS = 90_000;
/** The client's only question, so that the ruler costs little: an hour beside other work. */
const PING_EVERY_MS = 10;
/** An answer is told late by that much at most: the last outage of a takeover is in the events then. */
const TOLD_WITHIN_MS = 400;

/** Ways in which both daemons stay alive. */
export const LASTING_KINDS = ["cable", "planned", "cable of the slave"] as const;
/** Ways in which a daemon dies. */
export const DYING_KINDS = ["power", "killed daemon", "power of the slave"] as const;

/** See {@linkcode LASTING_KINDS} and {@linkcode DYING_KINDS}. */
export type MoveKind = typeof LASTING_KINDS[number] | typeof DYING_KINDS[number];

/** A pair with its observers. */
export class SoakPair {
  private constructor(
    readonly cluster: Cluster,
    readonly client: Observer,
    readonly watcher: Observer,
  ) {}

  /**
   * Builds and starts a pair, the master serving.
   *
   * @param heartbeat lines of `[heartbeat]`
   */
  static async create(heartbeat: readonly string[] = ['preset = "fast"']): Promise<SoakPair> {
    const cluster = await Cluster.create({
      config: { heartbeat, failback: ['mode = "manual"'] },
    });
    try {
      await cluster.start(DEADLINE_MS);
      const client = await Observer.start(cluster.lab.client, [{
        name: "vip",
        kind: "icmp",
        address: cluster.lab.vip(0),
        interfaceName: "eth0",
        everyMs: PING_EVERY_MS,
      }]);
      return new SoakPair(cluster, client, await cluster.watch());
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  /**
   * The master serves, the slave is ready, no copy runs, no goal: the state that is compared. Mends what a
   * move that did not come to its end left (a cable, a host, a daemon), and hands back a service that went by
   * itself, as it may at `fast` on a machine that stands still for half a second.
   */
  async untilRest(): Promise<void> {
    const { master, slave } = this.cluster;
    for (const host of this.cluster.both) {
      await host.host.cable("plug");
      if (!host.host.on) await this.cluster.boot(host);
      else if (host.daemon === null) host.start();
    }
    await poll(async () => {
      const [first, second] = [await master.status(), await slave.status()];
      if (first?.node.state === "active") return true;
      if (second?.node.state === "active" && second.peer.report?.ready === true) {
        await slave.relais(["failback"], DEADLINE_MS); // a refusal: the next look tries again
      }
      return false;
    }, { deadlineMs: DEADLINE_MS, everyMs: 500, what: "the serving master" });
    await this.cluster.untilNormal(DEADLINE_MS);
    for (const host of this.cluster.both) {
      await host.waitFor(({ dataSets, goal, peer }) =>
        goal === null && peer.verdict === "alive" &&
        dataSets.every(({ running }) => running === null), {
        deadlineMs: DEADLINE_MS,
        what: "a host at rest",
      });
    }
  }

  /** The service changes hands once, unplanned or planned, and comes back; what the client missed at the change. */
  async move(kind: MoveKind): Promise<{ readonly outageMs: number }> {
    const { master, slave } = this.cluster;
    switch (kind) {
      case "cable": {
        const outageMs = await this.#missed(slave, () => master.host.cable("pull"));
        await master.host.cable("plug");
        await this.#order("failback", { by: slave, to: master });
        return { outageMs };
      }
      case "planned": {
        const outageMs = await this.#order("switchover", { by: master, to: slave });
        await this.#order("failback", { by: slave, to: master });
        return { outageMs };
      }
      case "cable of the slave": {
        await this.#order("switchover", { by: master, to: slave });
        await this.#untilReady(slave);
        const outageMs = await this.#missed(master, () => slave.host.cable("pull"));
        await slave.host.cable("plug");
        return { outageMs };
      }
      case "power": {
        const outageMs = await this.#missed(slave, () => master.host.crash());
        await this.cluster.boot(master);
        await this.#order("failback", { by: slave, to: master });
        return { outageMs };
      }
      case "killed daemon": {
        const outageMs = await this.#missed(slave, () => master.stop("kill"));
        master.start();
        await this.#order("failback", { by: slave, to: master });
        return { outageMs };
      }
      case "power of the slave": {
        await this.#order("switchover", { by: master, to: slave });
        await this.#untilReady(slave);
        const outageMs = await this.#missed(master, () => slave.host.crash());
        await this.cluster.boot(slave);
        return { outageMs };
      }
    }
  }

  /** Requests that two hosts answered, over the whole run. */
  async answeredByTwo(): Promise<number> {
    let count = 0;
    for (const { targets } of await this.watcher.report()) {
      count += targets.arp?.answeredByTwo ?? 0;
    }
    return count;
  }

  async close(): Promise<void> {
    await this.client.close().catch(() => {});
    await this.watcher.close().catch(() => {});
    await this.cluster.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Does it, waits until the client is answered by `to`, and returns how long it was not answered at all. */
  async #missed(to: RelaisHost, work: () => Promise<unknown>): Promise<number> {
    const { cluster, client } = this;
    let outageMs = 0;
    client.listen((event) => {
      if (event.type === "up" && event.target === "vip") outageMs += event.outageMs;
    });
    await work();
    const holder = cluster.lab.mac(to === cluster.master ? "master" : "slave");
    await client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder });
    await to.untilState("active", DEADLINE_MS);
    await new Promise((resolve) => setTimeout(resolve, TOLD_WITHIN_MS));
    client.listen(() => {});
    return Math.round(outageMs);
  }

  async #order(
    verb: "switchover" | "failback",
    { by, to }: { readonly by: RelaisHost; readonly to: RelaisHost },
  ): Promise<number> {
    await this.#untilReady(by);
    const outageMs = await this.#missed(to, async () => {
      // The peer may be late with an answer just then: an operator who is refused asks again.
      let said = "";
      await poll(async () => {
        const { code, stdout, stderr } = await by.relais([verb], DEADLINE_MS);
        said = stdout + stderr;
        return code === 0;
      }, { deadlineMs: DEADLINE_MS, everyMs: 500, what: `relais ${verb}`, instead: () => said });
    });
    await by.untilState("standby", DEADLINE_MS);
    return outageMs;
  }

  /** The one that serves knows of a ready peer. */
  async #untilReady(active: RelaisHost): Promise<StatusDocument> {
    return await active.waitFor(
      ({ node, goal, peer }) =>
        node.state === "active" && goal === null && peer.verdict === "alive" &&
        peer.report?.ready === true,
      { deadlineMs: DEADLINE_MS, what: "a peer that is ready, and known to be" },
    );
  }
}
