/**
 * Plays one fault of a schedule in the world, and measures it from outside.
 *
 * @module
 */

import { messageOf } from "../../src/os/errors.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { NETWORK_FAULTS } from "./inject_network.ts";
import { PROCESS_FAULTS } from "./inject_process.ts";
import { TOOL_FAULTS } from "./inject_tools.ts";
import { type Injection, pause } from "./injection.ts";
import { realBound, type RealKind } from "./kinds.ts";
import type { Move, PlannedFault } from "./schedule.ts";
import { type FaultResult, judge } from "./verdict.ts";
import type { World } from "./world.ts";

/** What does each kind. */
export const FAULTS: Readonly<Record<RealKind, Injection>> = {
  ...PROCESS_FAULTS,
  ...TOOL_FAULTS,
  ...NETWORK_FAULTS,
};

const MOVE_DEADLINE_MS = 120_000;
/** Kinds whose host is the one that serves, whatever was drawn. */
const AT_THE_SERVING: readonly RealKind[] = [
  "kill-in-takeover",
  "kill-in-hand-over",
  "kill-in-taking-back",
  "operator",
];

/** A daemon of a node that serves adopts and comes to no rest; a restart of the standby disturbs nobody. */
const AT_THE_STANDBY: readonly RealKind[] = ["kill-in-join", "clock-back"];

/** Plays it to rest. Throws only when the test bed itself is broken. */
export async function playFault(world: World, fault: PlannedFault): Promise<FaultResult> {
  const { client, capture } = world;
  await pause(fault.gapMs);
  const phase = `${fault.number}`;
  await client.mark(phase);
  const notes: string[] = [];
  const note = (text: string): void => void notes.push(text);
  const victim = AT_THE_SERVING.includes(fault.kind)
    ? "serving"
    : AT_THE_STANDBY.includes(fault.kind)
    ? "standby"
    : fault.victim;
  const host = await world.victim(victim);
  const wasServing = host === await world.victim("serving");
  const logs = world.logs();
  const from = Date.now();
  const undo = await FAULTS[fault.kind]({ world, fault, host, note });
  const moving = fault.move === null ? null : type(world, fault.move, note);
  await pause(Math.max(0, fault.lastsMs - (Date.now() - from)));
  const endedAt = Date.now();
  await undo();
  const undoneAt = Date.now();
  const broken: string[] = [];
  const bound = realBound(fault.kind, world.config);
  let restMs: number | null = null;
  try {
    await moving;
    await world.untilRest(bound.rest);
    restMs = Date.now() - undoneAt;
  } catch (error) {
    broken.push(messageOf(error));
  }
  const to = await capture.caughtUp();
  capture.mustRun();
  const during = { from, to: endedAt };
  const after = { from: endedAt, to };
  return judge({
    number: fault.number,
    kind: fault.kind,
    host: world.nameOf(host),
    served: wasServing,
    bound,
    during,
    after,
    undoMs: undoneAt - endedAt,
    restMs,
    vips: capture.vips,
    stalledMs: world.stalls.longest({ from, to }),
    daemonLateMs: logs.longestStall(),
    staleArpMs: world.arp.longestStale(capture.vips[0]!, { from, to }),
    lost: (await client.summary(phase, "vip")).lost,
    sipLost: (await client.summary(phase, "sip")).lost,
    notes,
    broken,
  });
}

/** What an operator types, and what came of it; a refusal is an answer. */
async function type(world: World, move: Move, note: (text: string) => void): Promise<void> {
  await pause(move.afterMs);
  const host: RelaisHost = await world.victim(move.at);
  if (!host.host.on) return note(`${move.verb}: the host is off`);
  try {
    const { code, stdout, stderr } = await host.relais([move.verb], MOVE_DEADLINE_MS);
    const said = (stderr || stdout).trim().split("\n")[0] ?? "";
    note(`${move.verb} at the ${world.nameOf(host)}: ${code}${code === 0 ? "" : `, ${said}`}`);
  } catch (error) {
    note(`${move.verb} at the ${world.nameOf(host)}: ${messageOf(error)}`);
  }
}
