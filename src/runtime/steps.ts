/**
 * What each step of a goal does, with its deadline. Thin: the order is in `core/goals.ts`, the work in the
 * modules.
 *
 * @module
 */

import type { HookMoment, LocalConfig } from "../config/types.ts";
import { goalSteps, type StepName } from "../core/goals.ts";
import type { GoalName, ServicesEvidence } from "../core/types.ts";
import { messageOf } from "../os/errors.ts";
import type { Replicator } from "../replication/replicator.ts";
import type { ServiceDriver } from "../services/driver.ts";
import type { Gate } from "../services/gate.ts";
import type { Shield } from "../services/shield.ts";
import type { StepPerformer } from "./goal_runner.ts";
import { hookMoment, hooksDeadlineMs } from "./hooks.ts";

/** What the steps act upon. */
export interface StepDeps {
  readonly config: LocalConfig;
  readonly services: ServiceDriver;
  /** Reads the services' state now. */
  readonly readServices: () => Promise<ServicesEvidence["running"]>;
  /** What was read last. */
  readonly running: () => ServicesEvidence["running"];
  readonly gate: Pick<Gate, "open" | "close">;
  /** Puts back drop-ins of the gate that somebody removed; tells its troubles itself. */
  readonly installGate: () => void;
  readonly shield: Pick<Shield, "ports" | "raise" | "lower" | "settled">;
  /** Deletes stale flows of the VIPs; what was done, in words. */
  readonly flushFlows: (signal: AbortSignal) => Promise<string>;
  /** A trouble of work that is not waited for. */
  readonly onTrouble: (text: string) => void;
  /** Waits until the telephony check says yes; rejects with the reason when `signal` aborts. */
  readonly untilHealthy: (signal: AbortSignal) => Promise<void>;
  /** Acquires the arbiter's right to serve; how, in words. */
  readonly acquireRight: (signal: AbortSignal) => Promise<string>;
  readonly releaseRight: () => Promise<void>;
  readonly mount: (signal: AbortSignal) => Promise<void>;
  readonly drop: () => Promise<void>;
  readonly announce: () => void;
  /** Persists the epoch. */
  readonly persist: () => void;
  /** Null: no data sets are configured. */
  readonly replicator: Replicator | null;
  /** The epoch that what leaves this node carries. */
  readonly epoch: () => number;
  /** Rejects, with the reason, unless the peer says at this moment that it can take the service. */
  readonly askPeer: (signal: AbortSignal) => Promise<void>;
  /** Gives the peer the word that the service is its own; rejects when it did not take it. */
  readonly tellYours: (signal: AbortSignal) => Promise<void>;
  /** Switches the peer off: what was done, in words. Rejects when that is not certain. */
  readonly fencePeer: (signal: AbortSignal) => Promise<string>;
  /** Runs the operator's hooks of a moment; rejects only when `signal` aborts. */
  readonly runHooks: (moment: HookMoment, goal: GoalName, signal: AbortSignal) => Promise<void>;
}

const SECOND = 1000;

/** The deadline of each step in milliseconds. */
export function stepDeadlineMs(step: StepName, config: LocalConfig): number {
  const { services } = config;
  const units = Math.max(1, services.units.length);
  switch (step) {
    case "fence-peer":
      // The agent has its own deadline, and a look at the power behind it.
      return (config.fencing?.deadlineMs ?? 0) + 5 * SECOND;
    case "persist-epoch":
    case "announce":
    case "open-gate":
    case "close-gate":
      return 2 * SECOND;
    case "raise-shield":
    case "lower-shield":
    case "flush-conntrack":
    case "mount-vips":
    case "drop-vips":
      return 5 * SECOND;
    case "acquire-right":
      // A right that was not given back is free when its lease ends.
      return (config.arbiter?.ttlMs ?? 0) + 3 * SECOND;
    case "release-right":
      return 2 * SECOND;
    case "check-transport":
      // The way back of the database is tried out, while the telephones work.
      return (returns(config) ? 60 : 8) * SECOND;
    case "start-services":
      return services.startDeadlineMs * units;
    case "stop-services":
      return services.stopDeadlineMs * units;
    case "check-health":
      return 60 * SECOND;
    case "fetch-astdb":
    case "send-astdb":
      return 20 * SECOND;
    case "install-astdb":
      return 10 * SECOND;
    case "ready-database":
      return 8 * SECOND;
    case "send-files":
    case "return-database":
      return 120 * SECOND;
    case "tell-yours":
      return 3 * SECOND;
    case "hooks-before-takeover":
      return hooksDeadlineMs(config.hooks.beforeTakeover);
    case "hooks-after-takeover":
      return hooksDeadlineMs(config.hooks.afterTakeover);
    case "hooks-before-handback":
      return hooksDeadlineMs(config.hooks.beforeHandback);
    case "hooks-after-handback":
      return hooksDeadlineMs(config.hooks.afterHandback);
  }
}

/** The slave's database goes back. */
function returns({ role, replication }: LocalConfig): boolean {
  return role === "slave" && (replication.database?.returnMode ?? "none") !== "none";
}

/** Whether a step has anything to do here: hooks that are not configured leave no trace. */
export function stepHasWork(
  step: StepName,
  { hooks, replication, role, fencing, arbiter }: Pick<
    LocalConfig,
    "hooks" | "replication" | "role" | "fencing" | "arbiter"
  >,
): boolean {
  if (step === "fence-peer") return fencing !== undefined;
  if (step === "acquire-right" || step === "release-right") return arbiter !== null;
  if (step === "ready-database" || step === "return-database") {
    return role === "slave" && replication.database !== null;
  }
  const moment = hookMoment(step);
  return moment === null || hooks[moment].length > 0;
}

/** What the shield's time exceeds the deadlines of the steps by. */
const SHIELD_MARGIN_MS = 10 * SECOND;

/**
 * How long the steps under the shield may take: the sum of their deadlines, and a margin. With many units
 * that is more than any telephone waits: {@linkcode Shield} has a bound of its own.
 */
export function shieldLifetimeMs(goal: GoalName, config: LocalConfig): number {
  const names = goalSteps(goal, { fetch: true, urgent: false }).map(({ name }) => name);
  const under = names.slice(names.indexOf("raise-shield") + 1, names.indexOf("lower-shield"))
    .filter((name) => stepHasWork(name, config));
  return under.reduce((sum, step) => sum + stepDeadlineMs(step, config), SHIELD_MARGIN_MS);
}

/** Makes the performer of the steps. What a step returns is a sentence for log and history. */
export function createStepPerformer(deps: StepDeps): StepPerformer {
  const { services, replicator } = deps;
  const mustRest = async (what: string): Promise<string | null> =>
    (await deps.readServices()) === "none"
      ? null
      : `${what}: the services run, nothing is replaced`;
  return async (step, { goal, signal }): Promise<string | void> => {
    switch (step) {
      case "fence-peer":
        return await deps.fencePeer(signal);
      case "persist-epoch":
        return deps.persist();
      case "drop-vips":
        return await deps.drop();
      case "acquire-right":
        return await deps.acquireRight(signal);
      case "release-right":
        return await deps.releaseRight();
      case "mount-vips":
        return await deps.mount(signal);
      case "announce":
        await settledWithin(deps.shield, ANNOUNCE_PATIENCE_MS);
        return deps.announce();
      case "open-gate":
        return deps.gate.open();
      case "close-gate":
        deps.gate.close();
        return deps.installGate();
      case "raise-shield":
        return await raiseShield(deps, goal);
      case "lower-shield":
        return upFor(await deps.shield.lower());
      case "flush-conntrack":
        return await deps.flushFlows(signal);
      case "start-services":
        await deps.shield.settled();
        await services.start({ signal });
        await deps.readServices();
        return;
      case "stop-services":
        await services.stop({ signal });
        await deps.readServices();
        return;
      case "check-health":
        return await deps.untilHealthy(signal);
      case "check-transport":
        // Its last report may be older than its death.
        await deps.askPeer(signal);
        return await replicator?.checkTransport({ signal, epoch: deps.epoch() });
      case "fetch-astdb": {
        if (replicator === null) return;
        const running = await mustRest("not asked for a newer astdb");
        if (running !== null) return running;
        const { fetched, why } = await replicator.astdb.fetchIfNewer({ signal });
        return `${fetched ? "fetched" : "not fetched"}: ${why}`;
      }
      case "install-astdb": {
        if (replicator === null) return;
        // Beside the steps: a takeover waits for no list of files.
        replicator.files.noteReturnBase({ signal: AbortSignal.timeout(30 * SECOND) }).catch(
          (error: unknown) => deps.onTrouble(`Cannot list return_paths: ${messageOf(error)}`),
        );
        const running = await mustRest("no astdb installed");
        if (running !== null) return running;
        const { installed, why } = await replicator.astdb.installReceived({ signal });
        return `${installed ? "installed" : "not installed"}: ${why}`;
      }
      case "ready-database":
        return await replicator?.readyDatabase({ signal });
      case "return-database":
        return await replicator?.returnDatabase({ signal, epoch: deps.epoch() });
      case "send-astdb":
        await replicator?.astdb.sendAtRest({ signal, epoch: deps.epoch() });
        return;
      case "send-files":
        return await sendFilesAndDrain(replicator, { signal, epoch: deps.epoch() });
      case "tell-yours":
        return await deps.tellYours(signal);
      case "hooks-before-takeover":
        return await deps.runHooks("beforeTakeover", goal, signal);
      case "hooks-after-takeover":
        return await deps.runHooks("afterTakeover", goal, signal);
      case "hooks-before-handback":
        return await deps.runHooks("beforeHandback", goal, signal);
      case "hooks-after-handback":
        return await deps.runHooks("afterHandback", goal, signal);
    }
  };
}

/**
 * In `take` the mounting does not wait for it: both programs run side by side, so that the shield costs the
 * VIP no silence (docs/design/steps.md has the figures). Phones find the VIP by its announcement, which
 * waits a moment for a shield that is late; `start-services` waits for its end.
 */
async function raiseShield(deps: StepDeps, goal: GoalName): Promise<string | void> {
  const { shield, config } = deps;
  if (shield.ports.length === 0) return;
  if (goal === "take" && deps.running() === "all") return "not raised: the services run already";
  const raised = shield.raise(shieldLifetimeMs(goal, config));
  if (goal !== "take") return await raised;
  raised.catch((error: unknown) => deps.onTrouble(messageOf(error)));
}

/** Longer than nft takes where it is not starved of the processor. */
const ANNOUNCE_PATIENCE_MS = 25;

async function settledWithin(shield: StepDeps["shield"], ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race([shield.settled(), late]);
  clearTimeout(timer);
}

/** For the history: how long the phones had to wait. */
function upFor(ms: number | null): string {
  return ms === null ? "" : `the shield was up for ${(ms / 1000).toFixed(1)} s`;
}

/** From the master nothing has to travel but what its stream has not brought yet. */
async function sendFilesAndDrain(
  replicator: Replicator | null,
  options: { readonly signal: AbortSignal; readonly epoch: number },
): Promise<string> {
  const sent = await replicator?.files.sendBack(options);
  const drained = await replicator?.drainStream(options);
  return [sent?.sentence, drained].filter((text) => text !== undefined && text !== "").join("; ");
}
