/**
 * The switch: for each network and each ordered pair of its participants whether a frame arrives, and
 * when. A cut is one way; both ways are two cuts.
 *
 * @module
 */

import type { Random } from "./random.ts";

/** Participants of every network, by index. */
export const MASTER = 0;
/** See {@linkcode MASTER}. */
export const SLAVE = 1;
/** See {@linkcode MASTER}. */
export const WITNESS = 2;
/** The first telephone; the second one follows. */
export const CLIENT = 3;
/** Telephones. */
export const CLIENTS = 2;
const PARTICIPANTS = CLIENT + CLIENTS;

/** When TCP sends again what was lost, ms after the first time. */
const TCP_TRIES_MS = [0, 200, 600, 1400] as const;

/** What a path does to frames. */
export interface Path {
  cut: boolean;
  /** Share of the frames that are lost, 0 to 1. */
  loss: number;
  delayMs: number;
  /** Up to that much more, drawn for each frame: later frames overtake earlier ones. */
  jitterMs: number;
  /** Share of the frames that arrive twice. */
  duplicates: number;
}

/** One network. */
export class Network {
  readonly name: string;
  readonly carrier = [true, true];
  witnessUp = true;
  readonly #paths: Path[][];
  readonly #random: Random;

  constructor(name: string, random: Random) {
    this.name = name;
    this.#random = random;
    this.#paths = Array.from(
      { length: PARTICIPANTS },
      () => Array.from({ length: PARTICIPANTS }, () => clean()),
    );
  }

  /** The path from one to another. */
  path(from: number, to: number): Path {
    return this.#paths[from]![to]!;
  }

  /** All paths are as new. */
  heal(): void {
    for (const row of this.#paths) for (const path of row) Object.assign(path, clean());
    this.carrier.fill(true);
    this.witnessUp = true;
  }

  /** Frames can go that way, some of them at least. */
  isOpen(from: number, to: number): boolean {
    const { cut, loss } = this.path(from, to);
    return !cut && loss < 1 && (this.carrier[from] ?? true) && (this.carrier[to] ?? true);
  }

  /** Both ways. */
  isJoined(a: number, b: number): boolean {
    return this.isOpen(a, b) && this.isOpen(b, a);
  }

  /** Milliseconds until one frame arrives; null: it never does. */
  transit(from: number, to: number): number | null {
    if (!this.isOpen(from, to)) return null;
    const { loss, delayMs, jitterMs } = this.path(from, to);
    if (loss > 0 && this.#random.chance(loss)) return null;
    return 0.1 + delayMs + (jitterMs > 0 ? this.#random.between(0, jitterMs) : 0);
  }

  /** As {@linkcode Network.transit}, and back. */
  roundTrip(from: number, to: number): number | null {
    const there = this.transit(from, to);
    const back = there === null ? null : this.transit(to, from);
    return there === null || back === null ? null : there + back;
  }

  /** As {@linkcode Network.transit} for a few bytes of TCP, which sends again what is lost. */
  tcpTransit(from: number, to: number): number | null {
    for (const after of TCP_TRIES_MS) {
      const ms = this.transit(from, to);
      if (ms !== null) return after + ms;
    }
    return null;
  }

  /** This frame arrives a second time. */
  isDoubled(from: number, to: number): boolean {
    const { duplicates } = this.path(from, to);
    return duplicates > 0 && this.#random.chance(duplicates);
  }
}

function clean(): Path {
  return { cut: false, loss: 0, delayMs: 0, jitterMs: 0, duplicates: 0 };
}
