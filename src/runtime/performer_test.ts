import assert from "node:assert/strict";
import type { Action } from "../core/types.ts";
import { Performer } from "./performer.ts";

interface Place {
  readonly performer: Performer;
  /** What was asked of the parts, in order. */
  readonly done: string[];
  readonly alerts: string[];
  /** Ends the drop and the telling in progress. */
  readonly drop: PromiseWithResolvers<void>;
  readonly tell: PromiseWithResolvers<void>;
}

/** The parts here only take notes: what they do is tested where they are; here the order counts. */
function make(): Place {
  const done: string[] = [];
  const alerts: string[] = [];
  const drop = Promise.withResolvers<void>();
  const tell = Promise.withResolvers<void>();
  const note = (what: string): void => void done.push(what);
  const performer = new Performer({
    keeper: {
      drop: () => (note("drop"), drop.promise),
      announce: () => note("announce"),
    },
    runner: {
      start: (goal, id, { fetch, urgent }) => note(`start ${goal} ${id} ${fetch} ${urgent}`),
      cancel: () => note("cancel"),
    },
    peerLine: { tell: (kind, reason) => (note(`tell ${kind} ${reason}`), tell.promise) },
    links: { discard: () => note("discard") },
    memory: { persistSafely: () => note("persist") },
    onAlert: (text) => void alerts.push(text),
    onExit: () => note("exit"),
  });
  return { performer, done, alerts, drop, tell };
}

const ALL: readonly Action[] = [
  { type: "drop-vips" },
  { type: "cancel-goal" },
  { type: "start-goal", goal: "take", goalId: 7, fetch: true, urgent: false },
  { type: "announce" },
  { type: "tell-peer", kind: "leaving", reason: "stopped" },
  { type: "alert", text: "look" },
  { type: "discard-evidence" },
  { type: "persist" },
  { type: "exit" },
];

Deno.test("Performer.perform() begins every action in its order, and waits for none", () => {
  const { performer, done, alerts } = make();
  performer.perform(ALL);
  assert.deepEqual(done, [
    "drop",
    "cancel",
    "start take 7 true false",
    "announce",
    "tell leaving stopped",
    "discard",
    "persist",
    "exit",
  ]);
  assert.deepEqual(alerts, ["look"]);
});

Deno.test("Performer.settled() waits for addresses and last words; what failed is an alert", async () => {
  const { performer, alerts, drop, tell } = make();
  await performer.settled();
  performer.perform([{ type: "drop-vips" }, ALL[4] as Action]);
  let isSettled = false;
  const settled = performer.settled().then(() => isSettled = true);
  drop.resolve();
  await drop.promise;
  assert.equal(isSettled, false);
  tell.reject(new Error("Cannot tell the peer"));
  await settled;
  assert.deepEqual(alerts, ["Cannot tell the peer"]);
});
