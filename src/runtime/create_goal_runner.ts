/**
 * Joins the runner of goals to what its steps act upon in a node.
 *
 * @module
 */

import type { CoreEvent } from "../core/types.ts";
import { messageOf } from "../os/errors.ts";
import type { GateKeeper } from "./gate_keeper.ts";
import { GoalRunner } from "./goal_runner.ts";
import { type HookOccasion, runHooks } from "./hooks.ts";
import type { Links } from "./links.ts";
import type { MemoryKeeper } from "./memory_keeper.ts";
import type { NodeOptions } from "./node_options.ts";
import type { PeerLine } from "./peer_line.ts";
import type { NodePorts } from "./ports.ts";
import type { Recorder } from "./recorder.ts";
import type { ServicesWatch } from "./services_watch.ts";
import { createStepPerformer, stepDeadlineMs, stepHasWork } from "./steps.ts";
import type { VipKeeper } from "./vip_keeper.ts";

type FromNode = Pick<
  NodeOptions,
  "config" | "clock" | "driver" | "replicator" | "gate" | "shield" | "path" | "fencer"
>;

/** The parts of a node that its goals need. */
export interface GoalRunnerParts extends FromNode {
  readonly ports: Pick<NodePorts, "askPeer" | "flushFlows">;
  readonly gateKeeper: GateKeeper;
  readonly services: ServicesWatch;
  readonly links: Links;
  readonly keeper: VipKeeper;
  readonly memory: MemoryKeeper;
  readonly peerLine: PeerLine;
  readonly recorder: Recorder;
  /** The epoch that what leaves this node carries. */
  readonly epoch: () => number;
  /** Why the goal in progress was started, for its hooks. */
  readonly occasion: () => Pick<HookOccasion, "rule" | "reason">;
  readonly onEvent: (event: CoreEvent) => void;
  readonly onTrouble: (text: string) => void;
}

/** Makes the runner. */
export function createGoalRunner(parts: GoalRunnerParts): GoalRunner {
  const { config, clock, gate, shield, services, keeper, epoch, onTrouble } = parts;
  const vips = config.networks.flatMap((network) => network.vips);
  return new GoalRunner({
    clock,
    undo: () => shield.lower().then(() => {}, (error: unknown) => onTrouble(messageOf(error))),
    perform: createStepPerformer({
      config,
      services: parts.driver,
      readServices: () => services.read(),
      running: () => services.evidence.running,
      gate,
      installGate: () => parts.gateKeeper.install(),
      shield,
      flushFlows: async (signal) =>
        vips.length === 0 ? "" : await parts.ports.flushFlows(vips, { signal }),
      onTrouble,
      untilHealthy: (signal) => services.untilHealthy(signal),
      mount: (signal) => keeper.mount(signal),
      drop: () => keeper.drop(),
      announce: () => keeper.announce(),
      persist: () => parts.memory.persist(),
      replicator: parts.replicator,
      epoch,
      askPeer: (signal) =>
        parts.ports.askPeer(parts.links.peerAddresses(), {
          port: config.heartbeat.httpPort,
          signal,
        }),
      tellYours: (signal) => parts.peerLine.tellYours(signal),
      fencePeer: async (signal) => {
        // The core asks for it only where it is configured; the reload builds both from one file.
        const fencer = parts.fencer ?? null;
        if (fencer === null) {
          throw new Error("Cannot fence the peer as that is not configured");
        }
        return await fencer.fence(signal);
      },
      runHooks: (moment, goal, signal) =>
        runHooks(moment, {
          config,
          clock,
          path: parts.path,
          occasion: { goal, epoch: epoch(), ...parts.occasion() },
          signal,
          onHook: (report) => parts.recorder.hook(report),
        }),
    }),
    deadlineMs: (step) => stepDeadlineMs(step, config),
    hasWork: (step) => stepHasWork(step, config),
    onEvent: parts.onEvent,
    onStep: (report) => parts.recorder.step(report),
  });
}
