/**
 * Takes the picture of the world that one step decides on, from what the parts of the node know.
 *
 * @module
 */

import type { RightKeeper } from "../arbiter/right_keeper.ts";
import type { LocalConfig } from "../config/types.ts";
import type { CoreEvent, Observation } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { type IdleWatch, isWindowOpen } from "./idle.ts";
import type { Links } from "./links.ts";
import type { Boot } from "./memory.ts";
import type { ServicesWatch } from "./services_watch.ts";
import { peerMismatch } from "./status.ts";
import type { VipKeeper } from "./vip_keeper.ts";

/** What {@linkcode Observer} looks at. */
export interface ObserverOptions {
  readonly config: LocalConfig;
  readonly clock: Clock;
  readonly boot: Boot;
  readonly links: Links;
  readonly keeper: VipKeeper;
  readonly services: ServicesWatch;
  readonly idle: IdleWatch;
  /** A cluster key is loaded. */
  readonly hasKey: boolean;
  /** Reasons why this host could not serve, found at start. */
  readonly localFaults: readonly string[];
  /** Null: no arbiter. */
  readonly right: Pick<RightKeeper, "evidence"> | null;
  /** Why what the database gained can't go back now; null: it can. */
  readonly returnBlocked: () => string | null;
}

/** See the module. */
export class Observer {
  readonly #options: ObserverOptions;
  #adoptable = false;
  #last: Observation;

  constructor(options: ObserverOptions) {
    this.#options = options;
    this.#last = this.observe([]);
  }

  /** The picture that was taken last. */
  get last(): Observation {
    return this.#last;
  }

  /** What the previous daemon held is still there, until the first decision. */
  setAdoptable(adoptable: boolean): void {
    this.#adoptable = adoptable;
  }

  /** See {@linkcode Observer.setAdoptable}. */
  get adoptable(): boolean {
    return this.#adoptable;
  }

  /** Looks now; what waits in the sockets is read first. */
  observe(events: readonly CoreEvent[]): Observation {
    const { config, clock, links, services, idle, hasKey, localFaults } = this.#options;
    links.drain();
    return this.#last = {
      links: links.linkEvidence(),
      peer: links.peer,
      vips: links.vipEvidence(this.#options.keeper.held),
      services: services.evidence,
      adoptable: this.#adoptable,
      hostUptimeMs: this.#options.boot.uptimeMs(),
      idle: idle.idle,
      failbackWindowOpen: config.failback.window === null ||
        isWindowOpen(config.failback.window, minuteOfDay(clock)),
      peerMismatch: peerMismatch(config, links.report?.body ?? null),
      returnBlocked: this.#options.returnBlocked(),
      arbiter: this.#options.right?.evidence(clock.nowMs()) ?? null,
      hasKey,
      localFaults,
      events,
    };
  }
}

/** Local time of day. */
function minuteOfDay(clock: Clock): number {
  const wall = new Date(clock.wallMs());
  return wall.getHours() * 60 + wall.getMinutes();
}
