/**
 * Both hosts lose their power, and come back together, the slave first, or the master alone.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { LabHost } from "./lab_host.ts";
import { provisioned, untilNormal } from "./provision.ts";
import { untilState, waitForStatus } from "./relais_status.ts";
import {
  assertServesAlone,
  SERVED_DEADLINE_MS,
  untilContactCopied,
  untilNobodyServes,
  untilServedBy,
} from "./served_by.ts";
import { SipPhone } from "./sip_phone.ts";
import { SipWire } from "./sip_wire.ts";
import { type Scene, story } from "./stage.ts";
import { journalDecisions } from "./unit_times.ts";

/** `boot_grace_ms` of the preset `balanced`: four times 3 s. */
const BOOT_GRACE_MS = 12_000;

/** What goes through all phases: one registration, the epoch, the observers. */
interface Thread {
  readonly scene: Scene;
  readonly wire: SipWire;
  readonly called: SipPhone;
  readonly caller: SipPhone;
  epoch: number;
  /** Wall clock of the machine, which is the hosts', ISO 8601. */
  readonly since: string;
}

/** A part of the story. */
interface Phase {
  readonly name: string;
  /** Events of the watcher before it. */
  readonly from: number;
  readonly startMs: number;
}

story(
  "story 8: both hosts lose their power and come back together, the slave first, the master alone; one serves each time, nothing is lost (M1, M3, M4, S1, S2, B2)",
  async (scene) => {
    const { laboratory, slave } = scene;
    await untilNormal(laboratory);
    await untilServedBy("master", scene);
    await using wire = await SipWire.start(laboratory);
    await using called = await SipPhone.create(laboratory, "1001");
    await using caller = await SipPhone.create(laboratory, "1002");
    await called.register(); // once, for the whole story
    await called.answer();
    await untilContactCopied(slave, called);
    wire.clear();
    const thread: Thread = {
      scene,
      wire,
      called,
      caller,
      epoch: 0,
      since: new Date().toISOString(),
    };
    await proveService(thread, "master", { moved: true });

    await bothTogether(thread);
    await slaveFirst(thread);
    await masterAlone(thread);
    assert.deepEqual(wire.requests("REGISTER"), [], "nobody registered again");
    // Each time it had been the last to serve, or was handed the service: nothing was lost, as it knows.
    const { history } = await untilState(scene.master, "active", SERVED_DEADLINE_MS);
    const losses = history.filter(({ rule, at }) => rule === "LOSS" && at >= thread.since);
    assert.deepEqual(losses, []);
  },
  { from: provisioned() },
);

async function bothTogether(thread: Thread): Promise<void> {
  const { laboratory, master, slave, note } = thread.scene;
  await bothOff(thread);
  const phase = await begin(thread, "both on together");
  await Promise.all([master.boot(), slave.boot()]);
  await untilServedBy("master", thread.scene);
  note("both on together: served after, ms", elapsedMs(phase));
  await untilStandsBy(slave);
  await proveService(thread, "master", { moved: true });
  await assertServesAlone(master, slave, laboratory);
  await proveHolder(thread, phase, "master");
}

async function slaveFirst(thread: Thread): Promise<void> {
  const { laboratory, master, slave, note } = thread.scene;
  await bothOff(thread);
  const alone = await begin(thread, "slave first");
  await slave.boot();
  await untilServedBy("slave", thread.scene);
  note("slave first: served after, ms", elapsedMs(alone));
  await proveService(thread, "slave", { moved: true });
  // It gave the master its time first.
  const taken = (await journalDecisions(slave)).find(({ to }) => to === "taking-over");
  assert.equal(taken?.rule, "S-TAKE");
  assert.ok(taken.atUs / 1000 >= BOOT_GRACE_MS, JSON.stringify(taken));
  await proveHolder(thread, alone, "slave");

  const later = await begin(thread, "master later");
  await master.boot();
  await untilServedBy("master", thread.scene);
  await untilStandsBy(slave);
  await proveService(thread, "master", { moved: true });
  await assertServesAlone(master, slave, laboratory);
  await proveHolder(thread, later, "master");
}

async function masterAlone(thread: Thread): Promise<void> {
  const { laboratory, master, slave, outside, note } = thread.scene;
  await bothOff(thread);
  const heard = outside.ear.count;
  const phase = await begin(thread, "master alone");
  await master.boot();
  await untilServedBy("master", thread.scene);
  note("master alone: served after, ms", elapsedMs(phase));
  await proveService(thread, "master", { moved: true });

  // The slave comes back to a master that serves: nothing moves.
  await slave.boot();
  await untilStandsBy(slave);
  await proveService(thread, "master", { moved: false });
  await assertServesAlone(master, slave, laboratory);
  await proveHolder(thread, phase, "master");
  const announced = outside.ear.announcements(laboratory.vip(), laboratory.mac("slave"), heard);
  assert.deepEqual(announced, []);
}

/** Both cables out of the wall at once; nobody answers any more. */
async function bothOff({ scene }: Thread): Promise<void> {
  await Promise.all([scene.master.crash(), scene.slave.crash()]);
  await untilNobodyServes(scene);
}

/** Begins a phase, and notes from where on {@linkcode proveHolder} has to look. */
async function begin({ scene: { outside } }: Thread, phase: string): Promise<Phase> {
  await outside.mark(phase);
  return { name: phase, from: outside.watcher.events.length, startMs: performance.now() };
}

/**
 * The registered phone is called by the server's own card, and the epoch was not lost: every move to
 * service has raised it.
 */
async function proveService(
  thread: Thread,
  server: "master" | "slave",
  { moved }: { readonly moved: boolean },
): Promise<void> {
  const { scene: { laboratory }, wire, called, caller } = thread;
  const before = wire.requests("INVITE").length;
  await caller.untilCallable("1001", SERVED_DEADLINE_MS);
  await wire.untilInvited(called.port, laboratory.mac(server), before);
  const { node } = await untilState(laboratory[server], "active", SERVED_DEADLINE_MS);
  const kept = moved ? node.epoch > thread.epoch : node.epoch === thread.epoch;
  assert.ok(kept, `epoch ${node.epoch} after ${thread.epoch}, moved: ${moved}`);
  thread.epoch = node.epoch;
}

/** In the whole phase nobody but `holder` answered for the VIP, and never two at once. */
async function proveHolder(
  thread: Thread,
  phase: Phase,
  holder: "master" | "slave",
): Promise<void> {
  const { scene: { laboratory, outside, note } } = thread;
  const seen = await outside.seen(phase.name);
  note(phase.name, seen);
  assert.equal(seen.answeredByTwo, 0, phase.name);
  const names = new Set(
    outside.watcher.events.slice(phase.from).flatMap((event) =>
      event.target === "arp" && event.type !== "down"
        ? [laboratory.hostOf(event.by) ?? event.by]
        : []
    ),
  );
  assert.deepEqual([...names], [holder], phase.name);
}

async function untilStandsBy(host: LabHost): Promise<void> {
  await waitForStatus(host, ({ node, ready }) => node.state === "standby" && ready, {
    deadlineMs: SERVED_DEADLINE_MS,
    what: "standing by",
  });
}

function elapsedMs({ startMs }: Phase): number {
  return Math.round(performance.now() - startMs);
}
