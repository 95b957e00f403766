/**
 * What a fault is made of.
 *
 * @module
 */

import type { RelaisHost } from "../support/relais_host.ts";
import type { PlannedFault } from "./schedule.ts";
import type { World } from "./world.ts";

/** Undoes a fault; throws when it can't, since then nothing that follows could be believed. */
export type Undo = () => Promise<void>;

/** Where a fault happens. */
export interface Scene {
  readonly world: World;
  readonly fault: PlannedFault;
  /** The one that it hits. */
  readonly host: RelaisHost;
  /** What is worth knowing of how it went; stands in the results. */
  readonly note: (text: string) => void;
}

/** Does it, and says how to undo it. It has happened when this resolves. */
export type Injection = (scene: Scene) => Promise<Undo>;

/** A time within which something random happens, from a die. */
export function between(die: number, from: number, to: number): number {
  return from + die * (to - from);
}

/** Waits; a fault lasts for a time, not until something. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
