/**
 * `relais switchover` and `relais failback`: planned moves, watched to their end.
 *
 * @module
 */

import type { StatusDocument } from "../health/types.ts";
import type { ControlClient } from "./control_client.ts";
import { EXIT } from "./exit_codes.ts";
import { printResult } from "./report.ts";

/** Asks for the move, then waits until the other node is active or the move has failed. */
export async function move(
  client: ControlClient,
  command: "switchover" | "failback",
  { json, waitS }: { readonly json: boolean; readonly waitS: number },
): Promise<number> {
  const before = await client.status();
  const servedHere = before.node.state === "active";
  const accepted = await client.command(command);
  if (!accepted.ok || waitS === 0) return printResult(accepted, { json });
  const say = progress(json);
  // The daemon has heard its peer once more before it accepted: now both epochs are known.
  const asked = await client.status();
  const epoch = servedHere
    ? before.node.epoch
    : Math.max(asked.node.epoch, asked.peer.report?.epoch ?? 0);
  const { done, status } = await client.waitFor(
    (now) => isOver(now, { servedHere, epoch }),
    { deadlineMs: waitS * 1000, onLook: say },
  );
  if (!done || status === null) {
    const last = status === null ? "relais has not answered since" : status.node.why;
    printResult({ ok: false, text: `The move is not over after ${waitS} s: ${last}` }, { json });
    return EXIT.timedOut;
  }
  const moved = (status.node.state === "active") !== servedHere;
  const text = moved
    ? `Done: ${servedHere ? "the peer serves" : "this node serves"}`
    : `Not done: ${whyNot(status, servedHere)}`;
  return printResult({ ok: moved, text }, { json });
}

/** The move has ended, one way or the other. Pure. */
export function isOver(
  { node, peer }: StatusDocument,
  before: { readonly servedHere: boolean; readonly epoch: number },
): boolean {
  if (node.state === "failed") return true;
  if (before.servedHere) {
    return node.state === "active"
      ? node.epoch > before.epoch
      : node.state === "standby" && peer.report?.state === "active";
  }
  return node.state === "active" ||
    (node.state === "standby" && peer.report?.state === "active" &&
      peer.report.epoch > before.epoch);
}

/** Where the service stayed, that node knows the reason. */
function whyNot({ node, peer }: StatusDocument, servedHere: boolean): string {
  if (servedHere || node.state === "failed") return node.why;
  return `the peer is ${peer.report?.state ?? peer.verdict} again: relais status there says why`;
}

/** Prints each new step, on a terminal or in a log alike; nothing with `--json`. */
function progress(json: boolean): (status: StatusDocument) => void {
  let said = "";
  return ({ node, goal, peer }) => {
    const now = goal === null
      ? `this node: ${node.state}; peer: ${peer.report?.state ?? peer.verdict}`
      : `this node: ${node.state}, ${goal.step}; peer: ${peer.report?.state ?? peer.verdict}`;
    if (json || now === said) return;
    said = now;
    console.error(now);
  };
}
