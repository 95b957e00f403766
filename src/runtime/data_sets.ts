/**
 * The data sets in words and for the status document; pure.
 *
 * @module
 */

import type { StepResult } from "../core/step.ts";
import type { StatusDocument } from "../health/types.ts";
import type { StreamLoss } from "../replication/loss.ts";
import type { DataSetStatus } from "../replication/replicator_types.ts";

/** Milliseconds as people say it: `40 s`, `12 min`, `3 h`. */
export function formatAge(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

/** One sentence: what was lost, at most. */
export function lossSentence(
  ages: readonly {
    readonly set: string;
    readonly ageMs: number | null;
    readonly stream?: StreamLoss;
  }[],
): string {
  const parts = ages.map(({ set, ageMs, stream }) =>
    stream !== undefined
      ? `${set}: followed the stream, ${formatLag(stream)}`
      : ageMs === null
      ? `${set}: no copy was ever received`
      : `${set}: at most the last ${formatAge(ageMs)}`
  );
  return `lost by this takeover: ${parts.join("; ")}`;
}

/** How far behind, as a takeover says it. */
function formatLag({ lagMs, lagBytes, heardMs }: StreamLoss): string {
  const heard = `when the peer was last heard, ${(heardMs / 1000).toFixed(1)} s before`;
  return lagBytes === 0
    ? `nothing behind ${heard}`
    : `${Math.round(lagMs)} ms and ${lagBytes} bytes behind ${heard}`;
}

/** For the status document: what was sent and what was received, per set. */
export function dataSetStatus(sets: readonly DataSetStatus[]): StatusDocument["dataSets"] {
  return sets.flatMap((entry) => [
    { ...makeEntry(entry.sent, entry.sentAgeMs, entry), maxAgeMs: entry.maxAgeMs },
    { ...makeEntry(entry.received, entry.receivedAgeMs, null), maxAgeMs: entry.maxAgeMs },
  ]);
}

function makeEntry(
  state: DataSetStatus["sent"],
  ageMs: number | null,
  sending: DataSetStatus | null,
): StatusDocument["dataSets"][number] {
  const iso = (ms: number | null): string | null => ms === null ? null : new Date(ms).toISOString();
  const whole = (value: number | null): number | null => value === null ? null : Math.round(value);
  const running = sending?.running ?? null;
  return {
    set: state.set,
    direction: state.direction,
    snapshot: iso(state.snapshotWallMs),
    checkedAt: iso(state.checkedWallMs),
    ageMs,
    size: state.size,
    sha256: state.sha256,
    durationMs: whole(state.durationMs),
    epoch: state.epoch,
    origin: state.origin,
    lastError: state.lastError,
    lastErrorAt: iso(state.lastErrorWallMs),
    nextRunInMs: whole(sending?.nextInMs ?? null),
    lastSuccessAt: iso(state.lastSuccessWallMs),
    bytesPerSecond: state.size === null || !state.durationMs
      ? null
      : Math.round(state.size / (state.durationMs / 1000)),
    maxAgeMs: null,
    tooOld: false,
    successes: state.successes,
    failures: state.failures,
    running: running === null ? null : {
      phase: running.progress.phase,
      doneBytes: running.progress.bytes,
      totalBytes: running.progress.totalBytes,
      elapsedMs: Math.round(running.forMs),
      tablesDone: running.progress.tablesDone ?? null,
      tablesTotal: running.progress.tablesTotal ?? null,
      bytesPerSecond: running.progress.bytesPerSecond ?? null,
      remainingMs: running.progress.remainingMs ?? null,
    },
  };
}

/** Only a node that serves, and serves well, is a source (DESIGN section 7). */
export function mayRead(
  result: StepResult | null,
): { readonly ok: true; readonly epoch: number } | { readonly ok: false; readonly reason: string } {
  if (result === null) return { ok: false, reason: "this node is starting" };
  const { state, situation } = result;
  if (state.name === "handing-back") return { ok: true, epoch: state.epoch };
  if (state.name !== "active") {
    return {
      ok: false,
      reason: `this node is ${state.name}: only the one that serves is a source`,
    };
  }
  if (situation.serviceFaults.length > 0) {
    return { ok: false, reason: `this node is unfit: ${situation.serviceFaults.join("; ")}` };
  }
  return { ok: true, epoch: state.epoch };
}
