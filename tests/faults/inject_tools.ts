/**
 * Faults of what a host has: its disk, its programs, its clock, its operator.
 *
 * @module
 */

import { poll } from "../support/poll.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import type { Injection, Undo } from "./injection.ts";
import type { RealKind } from "./kinds.ts";
import type { World } from "./world.ts";

const STATE_DIR = "/var/lib/relais";
const FILLER = `${STATE_DIR}/filler`;
/** Stands before `/usr/sbin` in the daemon's PATH. */
const WRAPPERS = "/usr/local/sbin";
const CLOCK_FILE = "/etc/test-clock";
const LIVE_DEADLINE_MS = 60_000;

/** By kind; see `kinds.ts`. */
export const TOOL_FAULTS = {
  "disk-full": async ({ host, note }) => {
    const { stderr } = await host.host.try(["dd", "if=/dev/zero", `of=${FILLER}`, "bs=4k"]);
    if (!stderr.includes("No space left")) throw new Error(`Cannot fill the disk: ${stderr}`);
    note("full");
    return async () => void await host.host.exec(["rm", "-f", FILLER]);
  },
  "ip-fails": ({ host }) => replace(host, "ip", "echo 'RTNETLINK answers: no' >&2; exit 2"),
  "ip-hangs": ({ host }) => replace(host, "ip", "exec sleep 60"),
  "ssh-hangs": ({ host }) => replace(host, "ssh", "exec sleep 60"),
  "nft-missing": async ({ host }) => {
    await host.host.exec(["mv", "/usr/sbin/nft", "/usr/sbin/nft.away"]);
    return async () => void await host.host.exec(["mv", "/usr/sbin/nft.away", "/usr/sbin/nft"]);
  },
  // The one that stands by gets a clock of its own, then (mostly) the service, then the jump.
  "clock-back": async ({ world, fault, host, note }) => {
    await host.host.writeFile(CLOCK_FILE, "+0\n");
    const environment = {
      LD_PRELOAD: faketimeLibrary(),
      FAKETIME_TIMESTAMP_FILE: CLOCK_FILE,
      FAKETIME_CACHE_DURATION: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
    await restart(world, host, environment);
    if (fault.dice[0] < 0.7) {
      const { code } = await world.other(host).relais(["switchover"]);
      note(`switchover to it: ${code}`);
    }
    await host.host.writeFile(CLOCK_FILE, "-3600\n");
    note(`set back while ${(await host.status())?.node.state}`);
    return async () => {
      await host.host.writeFile(CLOCK_FILE, "+0\n");
      host.environment = {}; // of the next daemon there
    };
  },
  // The move itself is in the schedule, for every kind.
  "operator": () => Promise.resolve(() => Promise.resolve()),
  "maintenance": async ({ world, fault, host, note }) => {
    const { both } = world.cluster;
    const codes = [];
    for (const each of both) codes.push((await each.relais(["maintenance", "on"])).code);
    note(`maintenance on: ${codes.join(", ")}`);
    if (fault.dice[0] < 0.5) await host.daemon?.signal("SIGKILL");
    return async () => {
      for (const each of both) await maintenanceOff(each);
    };
  },
} as const satisfies Partial<Readonly<Record<RealKind, Injection>>>;

/** A program of the host behaves like this from now on. */
async function replace(host: RelaisHost, tool: string, script: string): Promise<Undo> {
  const path = `${WRAPPERS}/${tool}`;
  await host.host.writeFile(path, `#!/bin/sh\n${script}\n`, 0o755);
  return async () => {
    if (host.host.on) await host.host.exec(["rm", "-f", path]);
  };
}

/** A daemon that ends for its successor, which starts with this environment; then the pair is at rest. */
async function restart(
  world: World,
  host: RelaisHost,
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const before = (await host.status())?.node.instanceId;
  host.environment = environment;
  world.supervisor(host).wanted = true;
  await host.daemon?.signal("SIGUSR1");
  await host.waitFor(({ node }) => node.instanceId !== before, {
    deadlineMs: LIVE_DEADLINE_MS,
    what: "the next daemon",
  });
  await world.untilRest(LIVE_DEADLINE_MS);
}

/** libfaketime: the wall clock of one process moves, its monotonic clock and the machine's stay. */
function faketimeLibrary(): string {
  for (const { name } of Deno.readDirSync("/usr/lib")) {
    const path = `/usr/lib/${name}/faketime/libfaketimeMT.so.1`;
    try {
      Deno.statSync(path);
      return path;
    } catch {
      // Not there.
    }
  }
  throw new Error("Cannot move a clock without libfaketime: apt install faketime");
}

async function maintenanceOff(host: RelaisHost): Promise<void> {
  await poll(async () => {
    const state = (await host.status())?.node.state;
    // One that does not answer, or has just started, may still be in maintenance.
    if (state !== undefined && state !== "starting" && state !== "maintenance") return true;
    await host.relais(["maintenance", "off"]);
    return false;
  }, { deadlineMs: LIVE_DEADLINE_MS, everyMs: 200, what: "the end of the maintenance" });
}
