/**
 * Faults of daemons and hosts: killed, stopped, without power.
 *
 * @module
 */

import { messageOf } from "../../src/os/errors.ts";
import { PBX_PID_FILE } from "../support/pbx.ts";
import { signalPid } from "../support/process_table.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { between, type Injection, pause, type Scene, type Undo } from "./injection.ts";
import { stepHasWork } from "../../src/runtime/steps.ts";
import { Killer } from "./killer.ts";
import { stepNames } from "./schedule.ts";
import type { RealKind } from "./kinds.ts";
import { WATCHDOG_MS } from "./supervisor.ts";
import type { World } from "./world.ts";

const END_DEADLINE_MS = 120_000;
/** How long a goal may take to come to the step at which it is killed. */
const KILL_DEADLINE_MS = 15_000;

/** By kind; see `kinds.ts`. */
export const PROCESS_FAULTS = {
  "kill": async ({ world, fault, host, note }) => {
    const pauseMs = Math.round(between(fault.dice[0], 100, 1_200));
    world.supervisor(host).nextPauseMs = pauseMs;
    note(`started again after ${pauseMs} ms`);
    await host.daemon?.signal("SIGKILL");
    return nothingToUndo;
  },
  "kill-in-takeover": async (scene) => {
    const { world, host: serving, fault } = scene;
    const killer = await attach(scene, world.other(serving));
    if (fault.dice[0] < 0.5) await serving.host.cable("mute");
    else await serving.host.cable("pull");
    await killed(scene, killer);
    return () => serving.host.cable("plug");
  },
  "kill-in-hand-over": async (scene) => {
    const { host: serving } = scene;
    const killer = await attach(scene, serving);
    return await moveAndKill(scene, serving, killer);
  },
  "kill-in-taking-back": async (scene) => {
    const { world, host: serving } = scene;
    const killer = await attach(scene, world.other(serving));
    return await moveAndKill(scene, serving, killer);
  },
  "kill-in-join": async (scene) => {
    const { world, host } = scene;
    const supervisor = world.supervisor(host);
    const before = supervisor.starts;
    await host.daemon?.signal("SIGKILL");
    while (supervisor.starts === before) await pause(2);
    await killed(scene, await attach(scene, host));
    return nothingToUndo;
  },
  "dead": async ({ world, fault, host, note }) => {
    world.supervisor(host).wanted = false;
    await host.daemon?.signal("SIGKILL");
    if (fault.dice[0] < 0.6) {
      const afterMs = Math.round(between(fault.dice[1], 0, 3_000));
      await pause(afterMs);
      const { code } = await host.relais(["cleanup"]);
      note(`relais cleanup after ${afterMs} ms: ${code}`);
    }
    return () => startAgain(world, host);
  },
  "stopped": async ({ fault, host, note }) => {
    const pid = await host.daemon?.pid() ?? -1;
    if (pid > 0) signalPid(pid, "SIGSTOP");
    // As systemd's watchdog does; SIGKILL ends a stopped process, too.
    const timer = fault.lastsMs <= WATCHDOG_MS ? null : setTimeout(() => {
      note("killed by the watchdog");
      signalPid(pid, "SIGKILL");
      void host.host.thaw().catch(() => {}); // what started it stopped with it; the undo repeats this
    }, WATCHDOG_MS);
    return async () => {
      if (timer !== null) clearTimeout(timer);
      await host.host.thaw();
    };
  },
  "frozen": async ({ host }) => {
    await host.host.freeze();
    return () => host.host.thaw();
  },
  "power": async ({ world, host }) => {
    await powerCut(world, host);
    return () => boot(world, host);
  },
  "power-both": async ({ world, fault, note }) => {
    const { both } = world.cluster;
    await Promise.all(both.map((each) => powerCut(world, each)));
    const first = both[fault.dice[0] < 0.5 ? 0 : 1]!;
    const laterMs = Math.round(between(fault.dice[1], 0, 8_000));
    note(`${world.nameOf(first)} boots first, the other ${laterMs} ms later`);
    return async () => {
      await boot(world, first);
      await pause(laterMs);
      await boot(world, world.other(first));
    };
  },
  "reboot": async ({ world, fault, host }) => {
    world.supervisor(host).wanted = false;
    await host.daemon?.signal("SIGTERM");
    await pause(between(fault.dice[0], 200, 4_000));
    await powerCut(world, host);
    return () => boot(world, host);
  },
  "leave": async ({ world, host, note }) => {
    world.supervisor(host).wanted = false;
    const { daemon } = host;
    await daemon?.signal("SIGTERM");
    return async () => {
      const status = await daemon?.ended(END_DEADLINE_MS);
      note(`ended with ${status?.code}`);
      await startAgain(world, host);
    };
  },
  "pbx-dies": async ({ host, note }) => {
    if (host.host.exists(PBX_PID_FILE)) {
      const pid = (await host.host.readFile(PBX_PID_FILE)).trim();
      await host.host.try(["kill", "-KILL", pid]);
    } else note("no PBX ran there");
    return nothingToUndo;
  },
} as const satisfies Partial<Readonly<Record<RealKind, Injection>>>;

async function nothingToUndo(): Promise<void> {}

/** The killer takes its place at a daemon; without one there is nobody to kill. */
async function attach({ world, fault }: Scene, victim: RelaisHost): Promise<Killer | null> {
  const pid = await victim.daemon?.pid() ?? -1;
  if (pid <= 0 || fault.kill === null) return null;
  const { goal, number, systemCalls } = fault.kill;
  // Steps for which nothing is configured leave no line.
  const before = stepNames(goal).slice(0, number)
    .filter((name) => stepHasWork(name, world.configOf(victim)));
  return await Killer.attach(pid, { goal, number: before.length, systemCalls });
}

async function killed({ note, fault }: Scene, killer: Killer | null): Promise<boolean> {
  const result = await killer?.result(KILL_DEADLINE_MS);
  const last = result?.lines.at(-1) ?? "nothing";
  const where = `${fault.kill?.goal}/${fault.kill?.number} ${fault.kill?.step}`;
  const hit = result?.killed === true;
  note(hit ? `killed in ${where}, after ${last}` : `not reached: ${where}`);
  return hit;
}

async function moveAndKill(
  scene: Scene,
  serving: RelaisHost,
  killer: Killer | null,
): Promise<Undo> {
  // Whose daemon is killed hears no end of it: the verb's own failure is no news then.
  const asked = serving.relais(["switchover"], END_DEADLINE_MS)
    .then(({ stdout, stderr }) => (stderr || stdout).trim().split("\n")[0] ?? "", messageOf);
  if (!await killed(scene, killer)) scene.note(`switchover: ${await asked}`);
  return async () => void await asked;
}

async function powerCut(world: World, host: RelaisHost): Promise<void> {
  world.supervisor(host).wanted = false;
  await host.host.crash();
}

async function boot(world: World, host: RelaisHost): Promise<void> {
  if (!host.host.on) await world.cluster.boot(host, { daemon: false });
  await startAgain(world, host);
}

function startAgain(world: World, host: RelaisHost): Promise<void> {
  world.supervisor(host).wanted = true;
  return Promise.resolve();
}
