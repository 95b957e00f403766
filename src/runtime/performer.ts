/**
 * Carries out the core's actions, in their order. Nothing here waits: what takes time runs on, and what
 * must be over before the process ends is waited for in {@linkcode Performer.settled}.
 *
 * @module
 */

import type { Action } from "../core/types.ts";
import { messageOf } from "../os/errors.ts";
import type { GoalRunner } from "./goal_runner.ts";
import type { Links } from "./links.ts";
import type { MemoryKeeper } from "./memory_keeper.ts";
import { type PeerLine, TELL_MS } from "./peer_line.ts";
import type { VipKeeper } from "./vip_keeper.ts";

/** What {@linkcode Performer} acts upon. */
export interface PerformerOptions {
  readonly keeper: Pick<VipKeeper, "drop" | "announce">;
  readonly runner: Pick<GoalRunner, "start" | "cancel">;
  readonly peerLine: Pick<PeerLine, "tell">;
  readonly links: Pick<Links, "discard">;
  readonly memory: Pick<MemoryKeeper, "persistSafely">;
  /** A sentence for the alerts. */
  readonly onAlert: (text: string) => void;
  /** The core says that this daemon has left. */
  readonly onExit: () => void;
}

/** See the module. */
export class Performer {
  readonly #options: PerformerOptions;
  readonly #running = new Set<Promise<void>>();

  constructor(options: PerformerOptions) {
    this.#options = options;
  }

  /** Carries out the actions of one decision. Never throws. */
  perform(actions: readonly Action[]): void {
    for (const action of actions) this.#do(action);
  }

  /** Resolves when the last words have gone out and the addresses have gone away. Never rejects. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  #do(action: Action): void {
    const { keeper, runner, peerLine, links, memory, onAlert, onExit } = this.#options;
    switch (action.type) {
      case "drop-vips":
        return this.#track(keeper.drop());
      case "cancel-goal":
        return runner.cancel();
      case "start-goal":
        return runner.start(action.goal, action.goalId, action);
      case "announce":
        return keeper.announce();
      case "tell-peer":
        return this.#track(
          peerLine.tell(action.kind, action.reason, AbortSignal.timeout(TELL_MS)),
        );
      case "alert":
        return onAlert(action.text);
      case "discard-evidence":
        return links.discard();
      case "persist":
        return memory.persistSafely();
      case "exit":
        return onExit();
    }
  }

  #track(work: Promise<void>): void {
    const watched = work.catch((error: unknown) => this.#options.onAlert(messageOf(error)))
      .finally(() => this.#running.delete(watched));
    this.#running.add(watched);
  }
}
