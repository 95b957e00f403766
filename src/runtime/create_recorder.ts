/**
 * Joins the recorder of events to the node whose events it records.
 *
 * @module
 */

import type { Node } from "./node.ts";
import type { NodeOptions } from "./node_options.ts";
import { Recorder } from "./recorder.ts";

/** Makes the recorder; the node's loop is asked only when something is recorded. */
export function createRecorder(
  { clock, replicator }: Pick<NodeOptions, "clock" | "replicator">,
  node: Pick<Node, "history" | "alerts" | "loop">,
): Recorder {
  return new Recorder({
    clock,
    history: node.history,
    alerts: node.alerts,
    stateName: () => node.loop.state.name,
    lossReport: replicator === null ? null : () => replicator.lossReport(),
  });
}
