/**
 * The line to the peer: what this node tells and asks it, and how it takes what the peer says. Judging
 * is in `peer_talk.ts`, signing and sending in `heartbeat/`.
 *
 * @module
 */

import type { NodeState } from "../core/state.ts";
import type { StepResult } from "../core/step.ts";
import type { CoreEvent, PeerNotice } from "../core/types.ts";
import type { PeerMessenger } from "../heartbeat/notice.ts";
import type { Clock } from "../os/clock.ts";
import type { Links } from "./links.ts";
import { judgeNotice, type Taken } from "./peer_talk.ts";

/** The telling of one notice, all tries together. */
export const TELL_MS = 1500;
/** How long a daemon may take to hear from the other one's `/health` that it is a new process. */
const INTRODUCTION_MS = 1500;
/** Pause between two tries meanwhile. */
const AGAIN_MS = 100;
/** A reason that travels is cut at this length. */
const REASON_MAX = 500;

/** What {@linkcode PeerLine} needs. */
export interface PeerLineOptions {
  readonly clock: Clock;
  readonly links: Pick<Links, "report" | "peerAddresses">;
  /** Null: no cluster key, nothing can be agreed with the peer. */
  readonly messenger: PeerMessenger | null;
  readonly state: () => NodeState;
  /** The result of the last step; null before the first. */
  readonly last: () => StepResult | null;
  /** A notice that was accepted goes to the loop. */
  readonly onEvent: (event: CoreEvent) => void;
}

/** See the module. */
export class PeerLine {
  readonly #options: PeerLineOptions;
  #takenEpoch: number | null = null;

  constructor(options: PeerLineOptions) {
    this.#options = options;
  }

  /** A word that was accepted may come again, if its answer was lost: it is known still. */
  inherit(former: PeerLine): void {
    this.#takenEpoch = former.#takenEpoch;
  }

  /** A message of the peer that passed authentication. */
  take(notice: PeerNotice): Taken {
    const last = this.#options.last();
    if (last === null) return { accepted: false, text: "this node is starting" };
    const state = this.#options.state();
    const taken = judgeNotice(notice, { ...last, state }, this.#takenEpoch);
    const isRepeated = notice.kind === "yours" && state.name !== "standby";
    if (!taken.accepted || isRepeated) return taken;
    if (notice.kind === "yours") this.#takenEpoch = notice.epoch;
    this.#options.onEvent({ type: "notice", notice });
    return taken;
  }

  /** Sends a message to the peer and returns how it was taken. Never throws. */
  async ask(kind: PeerNotice["kind"], reason: string, signal: AbortSignal): Promise<Taken> {
    const { clock, messenger, links, state } = this.#options;
    const receiver = receiverOf(links);
    if (messenger === null) {
      return { accepted: false, text: "there is no cluster key on this host: run: relais keygen" };
    }
    if (receiver === null) {
      return { accepted: false, text: "the peer's relais does not answer" };
    }
    const notice = { kind, epoch: state().epoch, reason: reason.slice(0, REASON_MAX) };
    const end = clock.nowMs() + INTRODUCTION_MS;
    for (;;) {
      const options = { receiver: receiverOf(links) ?? receiver, deadlineMs: TELL_MS, signal };
      const sent = await messenger.send(links.peerAddresses(), notice, options);
      // One of the two daemons is new, or its name is, and the last report is older than that.
      const isUnknown = sent.status === 403 && !signal.aborted && clock.nowMs() < end;
      if (!isUnknown) return sent;
      await clock.sleep(AGAIN_MS, signal).catch(() => {}); // aborted: the next try says so
    }
  }

  /** As {@linkcode PeerLine.ask}. @throws {Error} when the peer did not take it */
  async tell(kind: PeerNotice["kind"], reason: string, signal: AbortSignal): Promise<void> {
    const { text, accepted } = await this.ask(kind, reason, signal);
    if (!accepted) throw new Error(`Cannot tell the peer "${kind}": ${text}`);
  }

  /** The word that the service is the peer's, with why. @throws {Error} when the peer did not take it */
  async tellYours(signal: AbortSignal): Promise<void> {
    const { rule, why, detail } = this.#options.state();
    await this.tell("yours", `${rule}: ${detail === "" ? why : `${why} (${detail})`}`, signal);
  }
}

/** The name that the peer told last; null: it has told nothing. */
function receiverOf({ report }: Pick<Links, "report">): string | null {
  if (report === null) return null;
  const { addressee, instanceId } = report.body;
  return addressee === "" ? instanceId : addressee;
}
