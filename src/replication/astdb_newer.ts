/**
 * Which of two astdbs is the one that telephones were last told about. Clocks of the two hosts may differ
 * by minutes, so stamps are only compared with stamps of the same clock; across hosts the epoch decides.
 * Pure.
 *
 * @module
 */

import type { Role } from "../core/types.ts";

/** Where an astdb comes from. */
export interface AstdbStamp {
  /** Epoch of the service that last wrote it; 0: before the first takeover or not known. */
  readonly epoch: number;
  /** The host whose Asterisk wrote it. */
  readonly origin: Role;
  /** When it was taken or, of a live file, last changed: on the *origin's* wall clock. */
  readonly snapshotWallMs: number;
  /** Hex SHA-256. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** The astdb in place on the host that decides. */
export interface LocalAstdb {
  /** Role of that host. */
  readonly me: Role;
  /** Null: there is no file, or it is damaged beyond use. */
  readonly live: AstdbStamp | null;
}

/** The decision and the sentence for log and status. */
export interface NewerDecision {
  readonly newer: boolean;
  readonly why: string;
}

/** Whether `candidate` (held by the peer, or received from it) must replace the astdb in place. */
export function isPeerAstdbNewer(local: LocalAstdb, candidate: AstdbStamp): NewerDecision {
  const { me, live } = local;
  if (live === null) return yes("there is no usable astdb here");
  if (live.sha256 === candidate.sha256) return no("both are the same");
  if (candidate.epoch < live.epoch) {
    return no(`the one here is of epoch ${live.epoch}, the other of epoch ${candidate.epoch}`);
  }
  if (candidate.origin === live.origin) {
    if (candidate.origin !== me && candidate.epoch > live.epoch) return laterEpoch(live, candidate);
    return sameClock(local.me, live, candidate);
  }
  if (candidate.epoch > live.epoch) return laterEpoch(live, candidate);
  // One epoch, two origins: the slave raises the epoch when it takes over, so within an epoch the
  // master serves after the slave.
  return candidate.origin === "master"
    ? yes("the master served after the slave in this epoch")
    : no("the master served after the slave in this epoch");
}

/**
 * Also for our own snapshot that the peer kept, of whatever epoch: if it is later than the last change of
 * the file here and differs, the file lost changes (a power cut rolled it back).
 */
function sameClock(me: Role, live: AstdbStamp, candidate: AstdbStamp): NewerDecision {
  const byMs = candidate.snapshotWallMs - live.snapshotWallMs;
  if (byMs <= 0) return no("the one here was changed later");
  const seconds = (byMs / 1000).toFixed(1);
  return candidate.origin === me
    ? yes(`the astdb here lost changes: the peer holds our own snapshot taken ${seconds} s later`)
    : yes(`it was taken ${seconds} s later than the one here`);
}

function laterEpoch(live: AstdbStamp, candidate: AstdbStamp): NewerDecision {
  return yes(
    `the ${candidate.origin} served in epoch ${candidate.epoch}, ` +
      `the one here is of epoch ${live.epoch}`,
  );
}

function yes(why: string): NewerDecision {
  return { newer: true, why };
}

function no(why: string): NewerDecision {
  return { newer: false, why };
}
