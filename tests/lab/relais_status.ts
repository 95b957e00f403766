/**
 * What relais says of itself on a host of the laboratory.
 *
 * @module
 */

import type { StateName } from "../../src/core/types.ts";
import { StatusDocument } from "../../src/health/types.ts";
import { poll } from "../support/poll.ts";
import type { LabHost } from "./lab_host.ts";

/** The status document; null: the daemon cannot be asked (`said` tells why), or the host is off. */
export async function statusOf(
  host: LabHost,
): Promise<{ readonly status: StatusDocument | null; readonly said: string }> {
  const { code, stdout, stderr } = await host.try(["relais", "status", "--json"]);
  if (code !== 0) return { status: null, said: stderr.trim() };
  return { status: StatusDocument.parse(JSON.parse(stdout)), said: "" };
}

/** Waits until the status satisfies `look`, and returns it; the error says what was there instead. */
export async function waitForStatus(
  host: LabHost,
  look: (status: StatusDocument) => boolean,
  options: { readonly deadlineMs: number; readonly what: string },
): Promise<StatusDocument> {
  let last = "it was not asked";
  return await poll(async () => {
    const { status, said } = await statusOf(host);
    last = status === null ? said : summary(status);
    return status !== null && look(status) ? status : null;
  }, {
    deadlineMs: options.deadlineMs,
    everyMs: 200,
    what: `${options.what} on ${host.name}`,
    instead: () => last,
  });
}

/** Waits until the node is in a state. */
export async function untilState(
  host: LabHost,
  state: StateName,
  deadlineMs: number,
): Promise<StatusDocument> {
  return await waitForStatus(host, ({ node }) => node.state === state, {
    deadlineMs,
    what: `state ${state}`,
  });
}

/**
 * What a host says of the copy of a data set that it got from its peer.
 *
 * @throws {Error} when its daemon cannot be asked or has no such set
 */
export async function receivedCopy(
  host: LabHost,
  set: "astdb" | "database" | "files",
): Promise<StatusDocument["dataSets"][number]> {
  const { status, said } = await statusOf(host);
  const found = status?.dataSets.find((each) => each.set === set && each.direction === "received");
  if (found === undefined) throw new Error(`Cannot see the ${set} of ${host.name}: ${said}`);
  return found;
}

function summary({ node, goal, alerts, peer }: StatusDocument): string {
  return JSON.stringify({ state: node.state, why: node.why, goal, alerts, peer: peer.verdict });
}
