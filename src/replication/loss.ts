/**
 * What a takeover without the peer's help may lose; pure.
 *
 * @module
 */

import type { DataSetName, Role } from "../core/types.ts";
import type { AstdbOrigin } from "./astdb_origin.ts";

/** A set of which only an older copy is here. */
export interface PossibleLoss {
  readonly set: DataSetName;
  /** Age of the copy in milliseconds; null: none was ever received. */
  readonly ageMs: number | null;
  /** The database followed a stream: what counts then is how far it was behind. */
  readonly stream?: StreamLoss;
}

/** What the peer last said of the stream that this host followed. */
export interface StreamLoss {
  readonly lagMs: number;
  readonly lagBytes: number;
  /** Milliseconds since it said so. */
  readonly heardMs: number;
}

/** What is known of a set. */
interface ReceivedSet {
  readonly set: DataSetName;
  readonly received: { readonly epoch: number | null };
  readonly receivedAgeMs: number | null;
}

/**
 * The slave lives on copies of everything. The master has its own database and files, which nothing of the
 * slave's ever replaces, and its own astdb unless the slave has served since: it may lose only what phones
 * registered there.
 *
 * @param options.live whose astdb is in place; null: not known
 * @returns empty: nothing is lost, as far as is known
 */
export function possibleLoss({ role, sets, live, stream = null }: {
  readonly role: Role;
  readonly sets: readonly ReceivedSet[];
  readonly live: AstdbOrigin | null;
  /** Null: the database is copied only, or the stream did not run. */
  readonly stream?: StreamLoss | null;
}): readonly PossibleLoss[] {
  const isSlavesAstdb = live !== null && live.installed !== null;
  return sets
    .filter(({ set, received }) =>
      role === "slave" ||
      (set === "astdb" && (isSlavesAstdb || (received.epoch ?? -1) > (live?.epoch ?? -1)))
    )
    .map(({ set, receivedAgeMs }) => ({
      set,
      ageMs: receivedAgeMs,
      ...(set === "database" && role === "slave" && stream !== null ? { stream } : {}),
    }));
}
