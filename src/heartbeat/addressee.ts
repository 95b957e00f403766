/**
 * The name that messages to this process must bear: its random id, and a part that changes every few
 * seconds and is told in each answer of `GET /health`. So a message that somebody holds back and lets
 * through minutes later means nobody any more, without any clock being the same on both hosts.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import type { Clock } from "../os/clock.ts";

/** How long one name is told, in milliseconds. */
export const RENEWED_AFTER_MS = 5_000;

/**
 * How long a name is taken after it was first told. The sender's knowledge is at most one health question
 * old; one that is older is told so by the refusal, hears the new name and says it again.
 */
export const TAKEN_FOR_MS = 15_000;

/** Whom a name means. */
export type Meant =
  /** This process, as it was told lately. */
  | "us"
  /** This process, a while ago: the message was on its way for too long. */
  | "late"
  | "other";

/** See the module. */
export class Addressee {
  readonly #instanceId: string;
  readonly #clock: Clock;
  /** Oldest first; a handful at most, as each is told for a third of the time that it is taken. */
  #told: readonly { readonly name: string; readonly at: number }[] = [];

  constructor({ instanceId, clock }: { readonly instanceId: string; readonly clock: Clock }) {
    this.#instanceId = instanceId;
    this.#clock = clock;
  }

  /** The name to tell now. */
  get name(): string {
    const now = this.#clock.nowMs();
    const newest = this.#told.at(-1);
    if (newest !== undefined && now - newest.at < RENEWED_AFTER_MS) return newest.name;
    const name = `${this.#instanceId}.${randomBytes(8).toString("hex")}`;
    this.#told = [...this.#fresh(now), { name, at: now }];
    return name;
  }

  /** Whom a message to `name` means now. */
  judge(name: string): Meant {
    if (this.#fresh(this.#clock.nowMs()).some((told) => told.name === name)) return "us";
    return name === this.#instanceId || name.startsWith(`${this.#instanceId}.`) ? "late" : "other";
  }

  #fresh(now: number): readonly { readonly name: string; readonly at: number }[] {
    return this.#told.filter(({ at }) => now - at < TAKEN_FOR_MS);
  }
}
