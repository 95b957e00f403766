/**
 * Who asks for something of the stream on the other host, as words of a `relais receive` command; pure.
 *
 * @module
 */

import type { DatabaseConfig } from "../../config/types.ts";
import type { Role } from "../../core/types.ts";

/** System user, and PostgreSQL role of the same name, of every connection through the tunnel. */
export const TUNNEL_USER = "relais";

/** What the asking host says of itself. */
export interface PeerFacts {
  /** The epoch that it knows. */
  readonly epoch: number;
  readonly origin: Role;
  readonly fingerprint: string;
}

/** The words behind the verb. */
export function peerWords({ epoch, origin, fingerprint }: PeerFacts): string {
  return `${epoch} ${origin} ${fingerprint}`;
}

/** Reads {@linkcode peerWords}; null: they are something else. */
export function parsePeerFacts(words: readonly string[]): PeerFacts | null {
  const [epoch = "", origin, fingerprint = "", ...rest] = words;
  if (rest.length > 0 || !/^[0-9]{1,15}$/.test(epoch)) return null;
  if (origin !== "master" && origin !== "slave") return null;
  if (!/^[0-9A-Za-z:_-]{1,128}$/.test(fingerprint)) return null;
  return { epoch: Number(epoch), origin, fingerprint };
}

/** Whether the configuration lets the peer reach this host's PostgreSQL at all. */
function tunnelConfigured(database: DatabaseConfig | null): boolean {
  return database !== null && database.mode === "stream";
}

/**
 * Why the peer is refused, as the end of a sentence ("… as …"); null: welcome. The database flows from this
 * host to the one that asks: never from the older epoch to the newer one, never from a host that does not
 * serve (its rows are copies).
 */
export function whyPeerRefused(
  peer: PeerFacts,
  own: {
    readonly role: Role;
    readonly fingerprint: string;
    readonly database: DatabaseConfig | null;
    /** Null: the daemon of this host does not answer. */
    readonly daemon:
      | { readonly state: string; readonly epoch: number; readonly serving: boolean }
      | null;
  },
): string | null {
  const { daemon } = own;
  if (!tunnelConfigured(own.database)) {
    return 'nothing of the database is streamed here: it needs mode = "stream" in [replication.database]';
  }
  if (peer.origin === own.role) return `it says that it is the ${peer.origin} and so is this host`;
  if (peer.fingerprint !== own.fingerprint) {
    return "the configurations of the two hosts differ: make relais.toml the same on both";
  }
  if (daemon === null) return "the relais daemon here does not answer";
  if (peer.epoch > daemon.epoch) {
    return `its epoch ${peer.epoch} is newer than epoch ${daemon.epoch} here: the rows of this host are older`;
  }
  if (!daemon.serving) return `this host is ${daemon.state}: only the one that serves is a source`;
  return null;
}
