/**
 * The data set `astdb` of this host: sent while it serves, fetched and put in place before it does.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import {
  type AstdbCopyContext,
  fetchIfNewer,
  type FetchOutcome,
  type InstallOutcome,
  installReceived,
  sendAstdb,
} from "./astdb_copy.ts";
import { astdbSignature } from "./astdb_read.ts";
import type { ReplicatorOptions } from "./replicator_types.ts";
import type { CopySet } from "./set_runner.ts";
import type { SetState, SetStates } from "./set_state.ts";
import type { Transport } from "./transport.ts";

/** Settings of {@linkcode AstdbSet}. */
export interface AstdbSetOptions {
  readonly config: LocalConfig;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly states: SetStates;
  readonly log: ReplicatorOptions["log"];
}

/** See the module. */
export class AstdbSet {
  readonly #options: AstdbSetOptions;
  /** Signature of what was last sent. */
  #sentSignature: string | null = null;

  constructor(options: AstdbSetOptions) {
    this.#options = options;
  }

  /** Whether the file is another one than was last sent, as far as its size, inode and time say. */
  hasChanged(): boolean {
    const { astdb } = this.#options.config.replication;
    if (astdb === null || !astdb.onChange) return false;
    const signature = astdbSignature(astdb.path);
    return signature !== null && signature !== this.#sentSignature;
  }

  /** Sends what is there now, while Asterisk writes. */
  readonly copy: CopySet = async ({ epoch, signal, onProgress }) => {
    const sent = await sendAstdb(this.#context(signal), { epoch, atRest: false, onProgress });
    this.#sentSignature = sent.signature;
    return sent;
  };

  /**
   * M4: gets the peer's astdb if it is newer and puts it in place. The services must be stopped.
   *
   * @throws on abort, and when this host can't write
   */
  async fetchIfNewer({ signal }: { readonly signal: AbortSignal }): Promise<FetchOutcome> {
    if (this.#options.config.replication.astdb === null) {
      return { fetched: false, asked: false, why: "the astdb is not copied here" };
    }
    return await fetchIfNewer(this.#context(signal));
  }

  /**
   * At a hand-over, after the services stopped: sends what Asterisk wrote last. Asks no `mayRead`.
   *
   * @throws when there is no sound astdb here, or the peer did not take it
   */
  async sendAtRest(
    options: { readonly signal: AbortSignal; readonly epoch: number },
  ): Promise<SetState | null> {
    const { config, clock, states } = this.#options;
    if (config.replication.astdb === null) return null;
    const { epoch, signal } = options;
    const beganMs = clock.nowMs();
    const facts = await sendAstdb(this.#context(signal), {
      epoch,
      atRest: true,
      onProgress: () => {},
    });
    this.#sentSignature = facts.signature;
    const { origin, snapshotWallMs, size, sha256 } = facts;
    const durationMs = clock.nowMs() - beganMs;
    const success = { epoch, origin, snapshotWallMs, size, sha256, durationMs };
    return await states.succeeded("astdb", "sent", success, clock.wallMs());
  }

  /**
   * At a takeover, services stopped: puts the newest received astdb in place unless the one there is
   * newer.
   *
   * @throws when the place can't be written
   */
  async installReceived({ signal }: { readonly signal: AbortSignal }): Promise<InstallOutcome> {
    const { config, log } = this.#options;
    if (config.replication.astdb === null) {
      return { installed: false, why: "the astdb is not copied here", ageMs: null };
    }
    return await installReceived(this.#context(signal), (message) => log("warn", message, {}));
  }

  #context(signal: AbortSignal): AstdbCopyContext {
    const { config, stateDir, clock, transport } = this.#options;
    return { config, stateDir, clock, transport, signal };
  }
}
