/**
 * The telephony check: does the local SIP server answer? Any SIP response is life, whatever its status:
 * a server that refuses OPTIONS still handles calls.
 *
 * @module
 */

import type { ServiceHealthConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import type { Poller } from "../os/poller.ts";
import { RiseFall } from "./rise_fall.ts";
import { SipClient, type SipOutcome, type SipQuestion } from "./sip_client.ts";

/** Bounds of the wait for one answer, ms: a busy Asterisk is late, a dead one need not hold us up. */
const ANSWER_MIN_MS = 500;
const ANSWER_MAX_MS = 2000;
/** Pace of {@linkcode TelephonyCheck.once}, ms: it ends a takeover, so each of them is outage. */
const ONCE_PACE_MS = 100;

/** What the check has counted since it was made. */
export interface TelephonyCounters {
  readonly asked: number;
  readonly answered: number;
  readonly failed: number;
  /** Datagrams that were no answer: garbage, or answers to somebody else. */
  readonly strays: number;
}

/** Options of {@linkcode TelephonyCheck}. */
export interface TelephonyOptions {
  readonly config: ServiceHealthConfig;
  readonly clock: Clock;
  /** Must be started before anything is asked; wakes the check when an answer is there. */
  readonly poller: Poller;
  /** Called when the judgement changes; `why` is in words, empty when healthy. */
  readonly onChange: (healthy: boolean, why: string) => void;
}

/** Asks each `intervalMs` and judges by `rise` and `fall`. Without `sip` configured it does nothing. */
export class TelephonyCheck {
  readonly #options: TelephonyOptions;
  readonly #judgement: RiseFall;
  /** Null: no check is configured. */
  readonly #client: SipClient | null;
  readonly #counters = { asked: 0, answered: 0, failed: 0 };
  #running: { readonly abort: AbortController; readonly done: Promise<void> } | null = null;
  /** Raised by reset(): the outcome of a question asked before it says nothing. */
  #generation = 0;
  #why = "";

  constructor(options: TelephonyOptions) {
    this.#options = options;
    this.#judgement = new RiseFall(options.config);
    const { config: { sip }, clock, poller } = options;
    this.#client = sip === null ? null : new SipClient({ ...sip, clock, poller });
  }

  /** Null: no check is configured, or too few have ended to tell. */
  get healthy(): boolean | null {
    return this.#judgement.healthy;
  }

  /** Why the last question had no answer, in words; empty when it had one. */
  get why(): string {
    return this.#why;
  }

  /** Counts since the object was made. */
  get counters(): TelephonyCounters {
    return { ...this.#counters, strays: this.#client?.strays ?? 0 };
  }

  /** Begins to ask; does nothing when it already does. */
  start(): void {
    if (this.#running !== null || this.#client === null) return;
    const abort = new AbortController();
    this.#client.keepOpen(true);
    this.#running = { abort, done: this.#loop(this.#client, abort.signal) };
  }

  /** Ends asking; resolves when the socket is closed. The judgement stays until {@linkcode reset}. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    running?.abort.abort();
    this.#client?.keepOpen(false);
    await running?.done;
  }

  /** Forgets the judgement and the question on its way (services stopped, or own loop stood still). */
  reset(): void {
    this.#generation++;
    this.#judgement.reset();
    this.#why = "";
  }

  /**
   * Asks until the first answer, at most `deadlineMs`: the last step of a takeover. A closed port is
   * asked again, as the server may be starting. True at once when no check is configured. Does not touch
   * the judgement.
   *
   * @throws {DOMException} `AbortError` when `signal` aborts
   */
  async once(deadlineMs: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#client === null) return true;
    const pace = { deadlineMs, resendMs: ONCE_PACE_MS };
    const outcome = await this.#ask(
      this.#client,
      signal === undefined ? pace : { ...pace, signal },
    );
    this.#why = outcome.why;
    return outcome.status !== null;
  }

  async #loop(client: SipClient, signal: AbortSignal): Promise<void> {
    const { clock, config } = this.#options;
    const answerMs = Math.min(ANSWER_MAX_MS, Math.max(ANSWER_MIN_MS, config.intervalMs));
    try {
      while (true) {
        const began = clock.nowMs();
        const generation = this.#generation;
        const outcome = await this.#ask(client, { deadlineMs: answerMs, signal });
        if (generation === this.#generation) this.#judge(outcome);
        await clock.sleep(Math.max(0, began + config.intervalMs - clock.nowMs()), signal);
      }
    } catch (error) {
      // stop() ends the loop this way; anything else is a bug and must be seen.
      if (!signal.aborted) throw error;
    }
  }

  async #ask(client: SipClient, question: SipQuestion): Promise<SipOutcome> {
    this.#counters.asked++;
    const outcome = await client.ask(question);
    if (outcome.status === null) this.#counters.failed++;
    else this.#counters.answered++;
    return outcome;
  }

  #judge(outcome: SipOutcome): void {
    const good = outcome.status !== null;
    this.#why = outcome.why;
    if (this.#judgement.add(good)) this.#options.onChange(good, outcome.why);
  }
}
