/**
 * What goes wrong: each fault does something to the world and says how to undo it.
 *
 * @module
 */

import {
  type ARBITER_KINDS,
  type FENCING_KINDS,
  type Kind,
  type KINDS,
  MAX_DELAY_MS,
} from "./bounds.ts";
import { CLIENT, MASTER, SLAVE, WITNESS } from "./network.ts";
import { serves } from "./checkers.ts";
import type { Daemon } from "./daemon.ts";
import type { World } from "./world.ts";

/** Undoes a fault. */
export type Undo = () => void;

/** A fault of that kind begins now. */
export type Fault = (world: World, target: 0 | 1) => Undo;

const ALL = [MASTER, SLAVE, WITNESS, CLIENT, CLIENT + 1] as const;
const BOOT_MS = [6000, 20_000] as const;
const RESTART_MS = [200, 1200] as const;

/** Kinds whose victim is the one that serves, and whom the other one can relieve. */
export const TAKEOVER_KINDS: readonly Kind[] = ["power", "freeze", "pause", "cut", "cable", "kill"];

/** Each kind but `mixed`. */
export const FAULTS: Readonly<Record<Exclude<typeof KINDS[number], "mixed">, Fault>> = {
  "power": (world, target) => {
    cutPower(world, target);
    return () => switchOn(world, target);
  },
  "power-both": (world) => {
    cutPower(world, 0);
    cutPower(world, 1);
    const late = world.random.between(0, 30_000);
    const first = world.random.below(2) as 0 | 1;
    return () => {
      switchOn(world, first);
      world.time.after(late, () => switchOn(world, (1 - first) as 0 | 1));
    };
  },
  "reboot": (world, target) => {
    world.wanted[target] = false;
    world.inDaemon(target, (daemon) => daemon.node.leave());
    let over = false;
    world.time.after(world.random.between(200, 10_000), () => {
      if (!over) cutPower(world, target);
    });
    return () => {
      over = true;
      cutPower(world, target);
      switchOn(world, target);
    };
  },
  "stop": (world, target) => {
    world.wanted[target] = false;
    world.inDaemon(target, (daemon) => daemon.node.leave());
    return () => start(world, target);
  },
  "kill": (world, target) => {
    world.killDaemon(target);
    world.time.after(world.random.between(...RESTART_MS), () => world.startDaemon(target));
    return () => {};
  },
  "dead-for-good": (world, target) => {
    world.wanted[target] = false;
    world.killDaemon(target);
    // systemd has tried again in vain, then OnFailure= runs the clean-up.
    world.time.after(world.random.between(0, 8000), () => {
      if (world.daemons[target]?.alive !== true) world.hosts[target].unmount();
    });
    return () => start(world, target);
  },
  "stall": (world, target) => {
    const daemon = world.daemons[target];
    if (daemon?.alive !== true) return () => {};
    daemon.stalled = true;
    return () => goOn(world, daemon);
  },
  "freeze": (world, target) => freeze(world, target, false),
  "pause": (world, target) => freeze(world, target, true),
  "cut": (world, target) => cut(world, [target], ALL.filter((other) => other !== target)),
  "cable": (world, target) => {
    for (const network of world.networks) network.carrier[target] = false;
    world.linkChanged(target);
    return () => heal(world);
  },
  "one-cable": (world, target) => {
    world.random.pick(world.networks).carrier[target] = false;
    world.linkChanged(target);
    return () => heal(world);
  },
  // The telephones hear both hosts; the host hears neither its peer nor a witness.
  "cut-phones": (world, target) => cut(world, [target], [1 - target, WITNESS]),
  // First the peer falls silent, a little later the witness, as when a stack of switches fails.
  "step-cut": (world, target) => {
    const undo = cut(world, [target], [1 - target]);
    const { deadAfterMs } = world.configs[0].heartbeat;
    let over = false;
    world.time.after(world.random.between(0, 1.5 * deadAfterMs), () => {
      if (!over) cut(world, [target], [WITNESS]);
    });
    return () => {
      over = true;
      undo();
    };
  },
  "alone-ill": (world, target) => {
    const other = (1 - target) as 0 | 1;
    world.hosts[target].serviceMode = "fail";
    cutPower(world, other);
    return () => switchOn(world, other);
  },
  "stuck": (world, target) => {
    const other = (1 - target) as 0 | 1;
    world.hosts[target].serviceMode = "hang";
    cutPower(world, other);
    return () => switchOn(world, other);
  },
  "one-way": (world, target) => {
    const out = world.random.chance(0.5);
    for (const network of world.networks) {
      for (const other of ALL) {
        if (other === target) continue;
        if (out) network.path(target, other).cut = true;
        else network.path(other, target).cut = true;
      }
    }
    world.changed();
    return () => heal(world);
  },
  "split": (world) => cut(world, [MASTER], [SLAVE]),
  "half": (world) => {
    const withWitness = world.random.below(3);
    const left: number[] = [MASTER, CLIENT];
    const right: number[] = [SLAVE, CLIENT + 1];
    if (withWitness === 0) left.push(WITNESS);
    if (withWitness === 1) right.push(WITNESS);
    return cut(world, left, right);
  },
  "witness": (world) => {
    for (const network of world.networks) network.witnessUp = false;
    return () => heal(world);
  },
  "loss": (world) => shape(world, { loss: world.random.between(0.05, 0.5) }, true),
  "one-way-loss": (world) => shape(world, { loss: world.random.between(0.2, 0.5) }, false),
  "delay": (world) =>
    shape(world, {
      delayMs: world.random.between(0, MAX_DELAY_MS / 2),
      jitterMs: world.random.between(0, MAX_DELAY_MS / 2),
      duplicates: world.random.unit(),
    }, true),
  "services": (world, target) => {
    const host = world.hosts[target];
    host.serviceMode = world.random.pick(["slow", "fail", "hang"] as const);
    const dies = world.random.chance(0.5);
    if (dies) host.units[1] = false;
    world.changed();
    return () => host.serviceMode = "ok";
  },
  "unit-dies": (world, target) => {
    const host = world.hosts[target];
    host.units[world.random.below(2)] = false;
    world.changed();
    return () => {};
  },
  "stray": (world, target) => {
    const standby = serves(world.daemons[target]) ? (1 - target) as 0 | 1 : target;
    if (world.hosts[standby].answers && !serves(world.daemons[standby])) {
      world.hosts[standby].units.fill(true);
    }
    world.changed();
    return () => {};
  },
  "disk": (world, target) => {
    world.hosts[target].diskFull = true;
    return () => world.hosts[target].diskFull = false;
  },
  "ip": (world, target) => {
    world.hosts[target].ipMode = world.random.pick(["slow", "fail", "hang"] as const);
    return () => world.hosts[target].ipMode = "ok";
  },
  "clock": (world, target) => {
    const host = world.hosts[target];
    host.wallErrorMs = world.random.pick([-3_600_000, 3_600_000, 86_400_000]);
    host.drift(world.random.between(0.9995, 1.0005));
    return () => host.wallErrorMs = 0;
  },
  "operator": (world, target) => {
    const typed = world.random.pick(
      ["switchover", "switchover", "failback", "maintenance-on"] as const,
    );
    world.type(target, typed);
    return () => {
      if (typed === "maintenance-on") world.type(target, "maintenance-off");
    };
  },
};

/** What happens to the etcd of an arbiter, and to pairs that have one. */
export const ARBITER_FAULTS: Readonly<Record<typeof ARBITER_KINDS[number], Fault>> = {
  "etcd": (world) => {
    world.etcd!.up = false;
    return () => mendEtcd(world);
  },
  "etcd-one": (world, target) => {
    world.etcd!.reach[target] = false;
    return () => mendEtcd(world);
  },
  "etcd-slow": (world) => {
    world.etcd!.slowMs = world.random.between(100, 2000);
    return () => mendEtcd(world);
  },
  // Elections again and again; the old leader renews leases for a while that the new one knows nothing of.
  "etcd-leader": (world) => {
    let over = false;
    const again = (): void => {
      if (over) return;
      elect(world);
      world.time.after(world.random.between(3000, 15_000), again);
    };
    again();
    return () => {
      over = true;
      mendEtcd(world);
    };
  },
  // The hosts do not hear each other, the telephones hear both, and each host's way to etcd comes and goes.
  "partition": (world, target) => {
    const undo = cut(world, [MASTER], [SLAVE]);
    if (world.random.chance(0.4)) world.etcd!.slowMs = world.random.between(0, 400);
    // Twice that, question and reading, is just within what a try may take.
    else if (world.random.chance(0.6)) world.etcd!.lateMs[target] = world.random.between(300, 480);
    let over = false;
    const flip = (): void => {
      if (over) return;
      const { random } = world;
      const etcd = world.etcd!;
      const way = random.below(4);
      if (way === 3) elect(world);
      else if (way === 2) etcd.up = !etcd.up;
      else etcd.reach[way] = !etcd.reach[way];
      world.time.after(random.between(500, 12_000), flip);
    };
    world.time.after(world.random.between(0, 12_000), flip);
    return () => {
      over = true;
      undo();
      mendEtcd(world);
    };
  },
  // One serves by the other's consent; then nobody hears anybody, and etcd comes back for the other one.
  "hold-split": (world, target) => {
    const etcd = world.etcd!;
    etcd.up = false;
    let over = false;
    world.time.after(world.random.between(1000, 15_000), () => {
      if (over) return;
      cut(world, [MASTER], [SLAVE]);
      etcd.reach[target] = false;
      world.time.after(world.random.between(0, 4000), () => {
        if (!over) etcd.up = true;
      });
    });
    return () => {
      over = true;
      heal(world);
      mendEtcd(world);
    };
  },
};

/** What happens to pairs that switch each other off. */
export const FENCING_FAULTS: Readonly<Record<typeof FENCING_KINDS[number], Fault>> = {
  // Cut off while its daemon hardly gets the processor: what it heard last, it hears late and in heaps.
  "starved-cut": (world, target) => {
    const { isolatedAfterMs, deadAfterMs } = world.configs[0].heartbeat;
    let over = false;
    let daemon = world.daemons[target];
    const go = (): void => {
      if (daemon?.alive === true && daemon.stalled) goOn(world, daemon);
    };
    const starve = (): void => {
      if (over) return;
      daemon = world.daemons[target];
      if (daemon?.alive === true) daemon.stalled = true;
      world.time.after(world.random.between(10, 1.2 * isolatedAfterMs), () => {
        go();
        world.time.after(world.random.between(1, 200), starve);
      });
    };
    starve();
    let undo: Undo = () => {};
    world.time.after(world.random.between(0, deadAfterMs), () => {
      if (!over) undo = cut(world, [target], ALL.filter((other) => other !== target));
    });
    return () => {
      over = true;
      go();
      undo();
    };
  },
};

/** A new leader; the old one does not know it for a while and renews leases in vain. */
function elect({ etcd, time, random }: World): void {
  etcd!.elect();
  etcd!.oldLeaderUntil = time.now + random.between(0, 8000);
}

function mendEtcd({ etcd }: World): void {
  if (etcd === null) return;
  // It starts again: a leader is elected, every lease lives its whole time again.
  if (!etcd.up) etcd.elect();
  etcd.up = true;
  etcd.reach.fill(true);
  etcd.slowMs = 0;
  etcd.lateMs.fill(0);
  etcd.oldLeaderUntil = -Infinity;
}

/** After all faults: cables, switches, tools and daemons are in order. */
export function mend(world: World): void {
  heal(world);
  world.power.mode = "works";
  mendEtcd(world);
  for (const host of world.hosts) {
    const daemon = world.daemons[host.index];
    host.serviceMode = "ok";
    host.ipMode = "ok";
    host.diskFull = false;
    if (daemon !== null) daemon.stalled = false;
    if (host.frozen) host.thaw(daemon);
    else if (daemon?.alive === true) world.time.unpark(daemon);
    if (!host.powered) switchOn(world, host.index);
    else start(world, host.index);
    world.type(host.index, "maintenance-off");
  }
  world.changed();
}

/** A host loses its power. */
export function cutPower(world: World, target: 0 | 1): void {
  const host = world.hosts[target];
  if (!host.powered) return;
  world.log(`${host.role}: no power`);
  world.daemons[target]?.kill();
  host.cutPower();
}

/** Gives a host power: it boots. */
export function switchOn(world: World, target: 0 | 1): void {
  const host = world.hosts[target];
  world.wanted[target] = true;
  if (host.powered) return;
  world.time.after(world.random.between(...BOOT_MS), () => {
    if (host.powered) return;
    host.boot();
    world.log(`${host.role}: boots`);
    // Something that boot starts, although it should not.
    if (world.random.chance(0.05)) host.units.fill(true);
    world.time.after(world.random.between(500, 4000), () => world.startDaemon(target));
  });
}

/** One that ends is started again when it has ended. */
function start(world: World, target: 0 | 1): void {
  world.wanted[target] = true;
  world.startDaemon(target);
}

/** A daemon that stood still goes on, unless its whole host stands still. */
function goOn(world: World, daemon: Daemon): void {
  daemon.stalled = false;
  if (!daemon.blocked) world.time.unpark(daemon);
}

function freeze(world: World, target: 0 | 1, clock: boolean): Undo {
  const host = world.hosts[target];
  if (!host.answers) return () => {};
  host.freeze(clock);
  return () => host.thaw(world.daemons[target]);
}

function cut(world: World, left: readonly number[], right: readonly number[]): Undo {
  for (const network of world.networks) {
    for (const a of left) {
      for (const b of right) {
        network.path(a, b).cut = true;
        network.path(b, a).cut = true;
      }
    }
  }
  world.changed();
  return () => heal(world);
}

function heal(world: World): void {
  for (const network of world.networks) network.heal();
  for (const index of [0, 1] as const) world.linkChanged(index);
}

function shape(
  world: World,
  change: Partial<ReturnType<World["networks"][0]["path"]>>,
  both: boolean,
): Undo {
  const from = world.random.below(2);
  for (const network of world.networks) {
    for (const a of ALL) {
      for (const b of ALL) {
        if (a !== b && (both || a === from)) Object.assign(network.path(a, b), change);
      }
    }
  }
  world.changed();
  return () => heal(world);
}
