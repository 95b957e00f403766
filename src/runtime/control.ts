/**
 * What an operator asks of the daemon through the control socket, answered with a sentence.
 *
 * @module
 */

import { whyRefused } from "../core/receiving.ts";
import type { DataSetName } from "../core/types.ts";
import type { ControlDeps, ReturnRequest, ReturnResult } from "../health/control_app.ts";
import { messageOf } from "../os/errors.ts";
import type { Replicator } from "../replication/replicator.ts";
import type { ReturnKeeper } from "../replication/return/return_keeper.ts";
import type { LocalConfig } from "../config/types.ts";
import { type Clock, systemClock } from "../os/clock.ts";
import type { Fencer } from "../fencing/fencer.ts";
import { fenceControl } from "./fence_control.ts";
import { hearPeer } from "./hear_peer.ts";
import type { Node } from "./node.ts";
import { Repeats } from "./repeats.ts";
import { judgeHandOver, type Taken } from "./peer_talk.ts";

const ASK_MS = 2000;

/** Joins the control socket to the node; what concerns no single node is not here. */
export function createControl(options: {
  readonly node: Node;
  readonly config: LocalConfig;
  readonly replicator: Replicator | null;
  /** Null or absent: fencing is not configured. */
  readonly fencer?: Fencer | null;
  /** Default: the host's. */
  readonly clock?: Clock;
}): Omit<ControlDeps, "reload"> {
  const { node, config, replicator } = options;
  const clock = options.clock ?? systemClock;
  const repeats = new Repeats(clock);
  /** In this host's history; the sender's has the same sentence. */
  const tell = (rule: string, topic: string, text: string): void => {
    const news = repeats.next(topic, text);
    if (news !== null) node.note(rule, news);
  };
  let lastRefusal = "";
  return {
    status: () => node.reporter.status(),
    history: () => node.history.entries,
    command: async (command) => {
      switch (command) {
        case "switchover":
          return answer(await switchover(node, clock));
        case "failback":
          return answer(await failback(node, config, clock));
        case "maintenance-on":
        case "maintenance-off":
          return answer(maintenance(node, command));
        case "stop":
          node.leave();
          return {
            ok: true,
            text: "leaving: the service is handed over first if the peer can take it",
          };
      }
    },
    announce: () => {
      if (node.keeper.held.size === 0) {
        return { ok: false, text: "Cannot announce as this node holds no VIP" };
      }
      node.keeper.announce();
      return { ok: true, text: `announcing ${[...node.keeper.held].join(", ")}` };
    },
    sync: async (set, options) => {
      if (replicator === null) return { ok: false, text: "no data sets are configured" };
      return await sync(replicator, set, options);
    },
    returning: async (request, signal) => {
      const back = replicator?.back ?? null;
      if (back === null) {
        return { ok: false, text: "Only the slave's database goes back: ask on the slave" };
      }
      return await returning(back, request, { epoch: node.loop.state.epoch, signal });
    },
    fence: (request, signal) => fenceControl(node, options.fencer ?? null, request, signal),
    receiveBegin: (header) => {
      const why = whyRefused(node.loop.state, header, config);
      if (why === null) return { ok: true, text: "welcome" };
      node.alerts.raise(why);
      lastRefusal = why;
      tell("REFUSED", header.set, why);
      return { ok: false, text: why };
    },
    receiveEnd: ({ set, ok, reason, note }) => {
      if (note !== undefined) node.note("RETURN", note);
      if (ok) return repeats.over(set);
      const sentence = `The ${set} offered by the peer was not taken in: ${reason}`;
      node.alerts.raise(sentence);
      // A copy that was cut as this node began to serve: the refusal has been told.
      if (reason !== lastRefusal) tell("RECEIVE", set, sentence);
    },
    receiveRefused: ({ set, reason }) => {
      node.alerts.raise(reason);
      tell("REFUSED", set ?? "request", reason);
    },
  };
}

async function returning(
  back: ReturnKeeper,
  request: ReturnRequest,
  options: { readonly epoch: number; readonly signal: AbortSignal },
): Promise<ReturnResult> {
  try {
    switch (request.action) {
      case "report": {
        const report = await back.report(options);
        const text = report.trouble ?? "looked at what the database gained";
        return { ok: report.trouble === null, text, report: { ...report } };
      }
      case "decide":
        return { ok: true, text: await back.decide(request.conflict, request.choice) };
      case "go":
        return { ok: true, text: await back.go() };
    }
  } catch (error) {
    return { ok: false, text: messageOf(error) };
  }
}

async function switchover(node: Node, clock: Clock): Promise<Taken> {
  await hearPeer(node, clock);
  const { state, last } = node.loop;
  if (state.name === "standby") {
    return await node.peerLine.ask(
      "request-switchover",
      "asked by an operator",
      AbortSignal.timeout(ASK_MS),
    );
  }
  const judged = judgeHandOver(state.name, last?.situation.peerCannotTakePlanned ?? null);
  if (judged.accepted) node.loop.push({ type: "command", command: "switchover" });
  return judged;
}

async function failback(node: Node, config: LocalConfig, clock: Clock): Promise<Taken> {
  await hearPeer(node, clock);
  const { state, last } = node.loop;
  if (config.role === "master") {
    if (state.name === "active") return { accepted: false, text: "the master serves already" };
    return await node.peerLine.ask(
      "request-failback",
      "asked by an operator",
      AbortSignal.timeout(ASK_MS),
    );
  }
  const judged = judgeHandOver(state.name, last?.situation.peerCannotTakePlanned ?? null);
  if (judged.accepted) node.loop.push({ type: "command", command: "failback" });
  return judged;
}

function maintenance(node: Node, command: "maintenance-on" | "maintenance-off"): Taken {
  const { name } = node.loop.state;
  const on = command === "maintenance-on";
  if (on === (name === "maintenance")) {
    return { accepted: true, text: `maintenance is ${on ? "on" : "off"} already` };
  }
  if (on && (name === "taking-over" || name === "handing-back")) {
    return { accepted: false, text: `this node is ${name}: wait until that is over` };
  }
  node.loop.push({ type: "command", command });
  return { accepted: true, text: on ? "maintenance: this node acts on nothing" : "acting again" };
}

async function sync(
  replicator: Replicator,
  set: DataSetName | "all",
  options: Parameters<ControlDeps["sync"]>[1],
): Promise<{ ok: boolean; text: string }> {
  const sets = set === "all" ? replicator.sources : [set];
  const failures: string[] = [];
  for (const name of sets) {
    try {
      await replicator.sync(name, options);
    } catch (error) {
      failures.push(`${name}: ${messageOf(error)}`);
    }
  }
  return failures.length === 0
    ? { ok: true, text: `copied: ${sets.join(", ")}` }
    : { ok: false, text: failures.join("; ") };
}

function answer({ accepted, text }: Taken): { ok: boolean; text: string } {
  return { ok: accepted, text };
}
