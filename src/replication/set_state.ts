/**
 * What is remembered of the last copy of each data set, in each direction:
 * `<stateDir>/sets/<set>.<sent|received>.json`.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import { DATA_SET_NAMES } from "../core/types.ts";
import type { DataSetName, Role } from "../core/types.ts";
import { messageOf } from "../os/errors.ts";
import { writeFileAtomically } from "../os/durable_file.ts";

/** `sent`: from this host to the peer; `received`: from the peer to this host. */
export type SetDirection = "sent" | "received";

/** The last success and the last failure of one set in one direction. */
export interface SetState {
  readonly set: DataSetName;
  readonly direction: SetDirection;
  /** Of the last good copy, on the origin's wall clock; null: there never was one. */
  readonly snapshotWallMs: number | null;
  readonly epoch: number | null;
  readonly origin: Role | null;
  /** Bytes. */
  readonly size: number | null;
  /** Hex digest of the payload (`files`: of the list of path, size and time). */
  readonly sha256: string | null;
  /** How long the last good copy took. */
  readonly durationMs: number | null;
  /** When the last good copy ended, on this host's wall clock. */
  readonly lastSuccessWallMs: number | null;
  /**
   * When the source last proved that nothing had changed since that copy, on this host's wall clock; null:
   * not since the copy.
   */
  readonly checkedWallMs: number | null;
  /** Why the last attempt failed; null when it succeeded. */
  readonly lastError: string | null;
  readonly lastErrorWallMs: number | null;
  /** Copies that went well and copies that failed, since this host knows the set; they only grow. */
  readonly successes: number;
  readonly failures: number;
}

const nullableNumber = z.number().nullable();
const setStateSchema: z.ZodType<SetState, unknown> = z.object({
  set: z.enum(DATA_SET_NAMES),
  direction: z.enum(["sent", "received"]),
  snapshotWallMs: nullableNumber,
  epoch: nullableNumber,
  origin: z.enum(["master", "slave"]).nullable(),
  size: nullableNumber,
  sha256: z.string().nullable(),
  durationMs: nullableNumber,
  lastSuccessWallMs: nullableNumber,
  // Not in files of versions before.
  checkedWallMs: nullableNumber.default(null),
  lastError: z.string().nullable(),
  lastErrorWallMs: nullableNumber,
  // Absent from files of earlier versions.
  successes: z.number().int().min(0).default(0),
  failures: z.number().int().min(0).default(0),
});

/** The state of a set that was never copied. */
export function emptySetState(set: DataSetName, direction: SetDirection): SetState {
  return {
    set,
    direction,
    snapshotWallMs: null,
    epoch: null,
    origin: null,
    size: null,
    sha256: null,
    durationMs: null,
    lastSuccessWallMs: null,
    checkedWallMs: null,
    lastError: null,
    lastErrorWallMs: null,
    successes: 0,
    failures: 0,
  };
}

/** Facts of a copy that succeeded. */
export interface SetSuccess {
  readonly snapshotWallMs: number;
  readonly epoch: number;
  readonly origin: Role;
  readonly size: number;
  readonly sha256: string;
  readonly durationMs: number;
}

/** Reads and writes the state files of one state directory. */
export class SetStates {
  readonly #directory: string;
  /** Told of a damaged file: which, and why. */
  readonly #onDamage: (path: string, why: string) => void;

  constructor(stateDir: string, onDamage: (path: string, why: string) => void) {
    this.#directory = join(stateDir, "sets");
    this.#onDamage = onDamage;
  }

  /** The remembered state; of a missing or damaged file: {@linkcode emptySetState}. */
  read(set: DataSetName, direction: SetDirection): SetState {
    const path = this.#path(set, direction);
    try {
      const state = setStateSchema.parse(JSON.parse(Deno.readTextFileSync(path)));
      if (state.set === set && state.direction === direction) return state;
      this.#onDamage(path, `it speaks of ${state.set} ${state.direction}`);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) {
        this.#onDamage(path, messageOf(cause));
      }
    }
    return emptySetState(set, direction);
  }

  /** Remembers a good copy that ended at `wallMs`. */
  async succeeded(
    set: DataSetName,
    direction: SetDirection,
    success: SetSuccess,
    wallMs: number,
  ): Promise<SetState> {
    const { successes, failures } = this.read(set, direction);
    return await this.#write({
      ...emptySetState(set, direction),
      ...success,
      lastSuccessWallMs: wallMs,
      successes: successes + 1,
      failures,
    });
  }

  /**
   * Remembers that at `wallMs` nothing had changed since the last good copy: it is as good as a copy of
   * that moment.
   */
  async unchanged(set: DataSetName, direction: SetDirection, wallMs: number): Promise<SetState> {
    const before = this.read(set, direction);
    return await this.#write({
      ...before,
      checkedWallMs: wallMs,
      lastError: null,
      lastErrorWallMs: null,
    });
  }

  /** Remembers a failure; the facts of the last good copy stay. */
  async failed(
    set: DataSetName,
    direction: SetDirection,
    error: string,
    wallMs: number,
  ): Promise<SetState> {
    const before = this.read(set, direction);
    return await this.#write({
      ...before,
      lastError: error.slice(0, 4000),
      lastErrorWallMs: wallMs,
      failures: before.failures + 1,
    });
  }

  async #write(state: SetState): Promise<SetState> {
    await Deno.mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await writeFileAtomically(this.#path(state.set, state.direction), JSON.stringify(state) + "\n");
    return state;
  }

  #path(set: DataSetName, direction: SetDirection): string {
    return join(this.#directory, `${set}.${direction}.json`);
  }
}
