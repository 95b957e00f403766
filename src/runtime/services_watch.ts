/**
 * Knows how the operator's services are: asks the driver at a pace, runs the telephony check while this
 * node serves.
 *
 * @module
 */

import type { ServicesConfig } from "../config/types.ts";
import type { ServicesEvidence } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { urlHost } from "../os/ip_bytes.ts";
import type { Poller } from "../os/poller.ts";
import type { ServiceDriver } from "../services/driver.ts";
import { TelephonyCheck } from "../services/telephony.ts";

/** Pace of asking the driver while serving, which runs a program. */
const READ_SERVING_MS = 5000;
/** The same while the telephony check asks each second: that hears first when something dies. */
const READ_CHECKED_MS = 10_000;
/** Pace at rest: services that somebody started behind our back are found within this time. */
const READ_RESTING_MS = 15_000;
/** Pause between two looks while a start waits for its first answer. */
const HEALTH_POLL_MS = 50;

/** What {@linkcode ServicesWatch} needs. */
export interface ServicesWatchOptions {
  readonly config: ServicesConfig;
  readonly clock: Clock;
  readonly poller: Poller;
  readonly driver: ServiceDriver;
  readonly onNews: () => void;
  readonly onTrouble: (text: string) => void;
}

/** See the module. */
export class ServicesWatch {
  readonly #options: ServicesWatchOptions;
  readonly #check: TelephonyCheck | null;
  #running: ServicesEvidence["running"] = "unknown";
  #checking = false;
  #nextReadAt = 0;
  #reading: Promise<ServicesEvidence["running"]> | null = null;

  constructor(options: ServicesWatchOptions) {
    this.#options = options;
    this.#check = options.config.health.sip === null ? null : new TelephonyCheck({
      config: options.config.health,
      clock: options.clock,
      poller: options.poller,
      onChange: options.onNews,
    });
  }

  /** For the core. Without a telephony check running services count as healthy. */
  get evidence(): ServicesEvidence {
    return {
      running: this.#running,
      healthy: this.#checking ? this.#check?.healthy ?? null : null,
    };
  }

  /**
   * Asks the driver, after what is being asked: that answer may be older than a start or stop that the
   * caller has just seen done. A driver that cannot be asked leaves the state `unknown`.
   */
  read(): Promise<ServicesEvidence["running"]> {
    const before = this.#reading?.catch(() => {}) ?? Promise.resolve(); // Told to its own caller.
    const mine = before.then(() => this.#read()).finally(() => {
      if (this.#reading === mine) this.#reading = null;
    });
    this.#reading = mine;
    return mine;
  }

  /** Whether something answers the telephony check within the deadline; true without a check. */
  async answers(deadlineMs: number): Promise<boolean> {
    return this.#check === null || await this.#check.once(deadlineMs);
  }

  /** Starts or stops the telephony check. */
  watch(serving: boolean): void {
    if (this.#check === null || serving === this.#checking) return;
    this.#checking = serving;
    this.#check.reset();
    if (serving) this.#check.start();
    else this.#check.stop();
  }

  /** Waits for the first good answer. */
  async untilHealthy(signal: AbortSignal): Promise<void> {
    const { clock, config, driver } = this.#options;
    if (this.#check === null) {
      const running = await this.read();
      if (running !== "all") {
        throw new Error(
          `Cannot serve as the services are not all running: ${driver.names.join(", ")}`,
        );
      }
      return;
    }
    try {
      while (!await this.#check.once(Math.min(1000, config.health.intervalMs), signal)) {
        await clock.sleep(HEALTH_POLL_MS, signal);
      }
    } catch (cause) {
      if (!signal.aborted) throw cause;
      const { host, port } = config.health.sip ?? { host: "", port: 0 };
      throw new Error(
        `Cannot serve as nothing answers SIP OPTIONS at ${
          urlHost(host)
        }:${port} after the start of ` +
          `${driver.names.join(", ")}: look at its log`,
        { cause },
      );
    }
  }

  /** Reads when due; called after each turn. */
  pace(now: number, serving: boolean): void {
    if (now < this.#nextReadAt || this.#reading !== null) return;
    this.#nextReadAt = now + this.#pauseMs(serving);
    this.read().catch((error: unknown) => {
      this.#options.onTrouble(messageOf(error));
    });
  }

  #pauseMs(serving: boolean): number {
    if (!serving) return READ_RESTING_MS;
    return this.#checking ? READ_CHECKED_MS : READ_SERVING_MS;
  }

  /** Ends the check. */
  close(): void {
    this.#check?.stop();
  }

  async #read(): Promise<ServicesEvidence["running"]> {
    const before = this.#running;
    try {
      this.#running = await this.#options.driver.running();
    } catch (error) {
      this.#running = "unknown";
      throw error;
    } finally {
      if (this.#running !== before) this.#options.onNews();
    }
    return this.#running;
  }
}
