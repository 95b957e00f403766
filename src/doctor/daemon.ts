/**
 * Checks of what the running daemon knows: its state, its peer, its copies. It is asked over its socket.
 *
 * @module
 */

import type { StatusDocument } from "../health/types.ts";
import { messageOf } from "../os/errors.ts";
import { type Check, failure, good, note, type Said, warning } from "./finding.ts";
import type { Patient } from "./patient.ts";

/** A copy older than this many of its own periods is late. */
const LATE_PERIODS = 3;
const MINUTE_MS = 60_000;

/** See the module. */
export function daemonChecks(patient: Patient): readonly Check[] {
  const fromStatus =
    (judge: (status: StatusDocument) => readonly Said[]) => async (): Promise<readonly Said[]> => {
      const status = await patient.status().catch(() => null);
      // That it cannot be asked is one finding, not four.
      return status === null ? [] : judge(status);
    };
  return [
    { ids: ["daemon.running"], look: () => lookAtDaemon(patient) },
    { ids: ["daemon.state"], look: fromStatus(judgeState) },
    { ids: ["daemon.peer"], look: fromStatus(judgePeer) },
    { ids: ["daemon.copies"], look: fromStatus((status) => judgeCopies(status, patient)) },
  ];
}

async function lookAtDaemon(patient: Patient): Promise<readonly Said[]> {
  const id = "daemon.running";
  try {
    const status = await patient.status();
    if (status === null) return [failure(id, "the daemon does not run")];
    return [good(id, `the daemon runs as pid ${status.node.pid}, ${status.node.version}`)];
  } catch (error) {
    return [failure(id, messageOf(error))];
  }
}

/** The node's own state and alerts. Pure. */
function judgeState(status: StatusDocument): readonly Said[] {
  const id = "daemon.state";
  const { node, alerts, maintenance, isolated, fit, unfitReasons } = status;
  const text = `${node.role}, ${node.state}: ${node.why}`;
  return [
    node.state === "failed" || isolated ? failure(id, text) : good(id, text),
    ...(maintenance ? [warning(id, "in maintenance", "relais maintenance off")] : []),
    ...(fit ? [] : [failure(id, `unfit: ${unfitReasons.join("; ")}`)]),
    ...alerts.map((alert) => warning(id, alert)),
  ];
}

/** What it hears of its peer. Pure. */
function judgePeer({ peer }: StatusDocument): readonly Said[] {
  const id = "daemon.peer";
  const { verdict, report, configMatches, versionMatches } = peer;
  if (verdict !== "alive") return [failure(id, `the peer is ${verdict}`)];
  if (report === null) return [failure(id, "the peer's relais has not answered")];
  return [
    report.fit
      ? good(id, `the peer is alive: ${report.role}, ${report.state}`)
      : failure(id, `the peer is unfit: ${report.unfitReasons.join("; ")}`),
    ...(report.hears === "alive"
      ? []
      : [warning(id, `the peer takes this host for ${report.hears}`)]),
    ...(configMatches === false ? [failure(id, "the peer has another configuration")] : []),
    ...(versionMatches === false ? [warning(id, "the peer has another version")] : []),
  ];
}

/** How old the copies are, and what went wrong last. */
function judgeCopies(status: StatusDocument, { config }: Patient): readonly Said[] {
  const id = "daemon.copies";
  const wanted = status.node.state === "active" ? "sent" : "received";
  return status.dataSets.filter(({ direction }) => direction === wanted).map((each) => {
    const name = `${each.set} ${each.direction}`;
    if (each.lastError !== null) return warning(id, `${name}: ${each.lastError}`);
    if (each.ageMs === null) {
      const young = status.node.uptimeMs < 10 * MINUTE_MS;
      return young ? note(id, `${name}: not yet`) : warning(id, `${name}: never`);
    }
    const everyMs = config.replication[each.set]?.everyMs ?? Infinity;
    const text = `${name}: ${Math.round(each.ageMs / 1000)} s old`;
    // Unchanged data are not copied again, so that age alone is no failure.
    return each.ageMs > LATE_PERIODS * everyMs && each.ageMs > 10 * MINUTE_MS
      ? note(id, text)
      : good(id, text);
  });
}
