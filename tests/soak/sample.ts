/**
 * What a daemon and its host hold, read from /proc by the test, which is none of the daemon's business.
 *
 * @module
 */

import type { RelaisHost } from "../support/relais_host.ts";

/** A daemon at one moment. */
export interface ProcessSample {
  readonly pid: number;
  readonly rssMb: number;
  /** Its own pages: RssAnon of proc_pid_status(5). */
  readonly anonymousMb: number;
  readonly threads: number;
  /** Open descriptors. */
  readonly descriptors: number;
}

/** Reads a daemon's /proc entry; null when it does not run (any more). */
export async function sampleDaemon(host: RelaisHost): Promise<ProcessSample | null> {
  const pid = await host.daemon?.pid() ?? -1;
  if (pid < 0) return null;
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return {
      pid,
      rssMb: megabytes(status, "VmRSS"),
      anonymousMb: megabytes(status, "RssAnon"),
      threads: Number(/^Threads:\s+(\d+)$/m.exec(status)?.[1] ?? NaN),
      descriptors: [...Deno.readDirSync(`/proc/${pid}/fd`)].length,
    };
  } catch {
    return null; // it ended meanwhile
  }
}

/**
 * What the descriptors lead to, counted by kind (`socket`, `pipe`, `/dev/net`, `file`): names what leaks.
 */
export async function descriptorKinds(host: RelaisHost): Promise<Record<string, number>> {
  const pid = await host.daemon?.pid() ?? -1;
  const kinds: Record<string, number> = {};
  if (pid < 0) return kinds;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    try {
      const target = Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
      const kind = /^(\w+):/.exec(target)?.[1] ?? (target.startsWith("anon") ? target : "file");
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    } catch {
      // Closed meanwhile.
    }
  }
  return kinds;
}

/** What a host has at rest: the same after each takeover, or something is left behind. */
export interface Footprint {
  /** Processes of the host, zombies included, kept ssh connections (of both sides) not. */
  readonly processes: number;
  /** Kept ssh connections to the peer: at most one for each network, opened when it is first used. */
  readonly connections: number;
  readonly addresses: number;
  readonly routes: number;
  /** Lines of `nft list ruleset`. */
  readonly firewall: number;
  /** Files in the run folder and in /tmp, but the sockets of kept connections. */
  readonly runFiles: number;
  readonly stateFiles: number;
  readonly stateKb: number;
}

/** Counts what a host has. */
export async function footprint({ host }: RelaisHost): Promise<Footprint> {
  const lines = async (...argv: string[]): Promise<number> => {
    const { stdout } = await host.try(argv);
    return stdout.split("\n").filter((line) => line.trim() !== "").length;
  };
  const state = folder(`${host.root}/var/lib/relais`);
  const connections = keptConnections(`${host.root}/run/relais`);
  return {
    processes: host.pids().filter((pid) => !isOfConnection(pid)).length,
    connections,
    addresses: await lines("ip", "-oneline", "address", "show"),
    routes: await lines("ip", "-oneline", "route", "show", "table", "all"),
    firewall: await lines("nft", "list", "ruleset"),
    runFiles: folder(`${host.root}/run/relais`).files + folder(`${host.root}/tmp`).files -
      connections,
    stateFiles: state.files,
    stateKb: Math.ceil(state.bytes / 1024),
  };
}

/** Bytes of the daemon's log. */
export function logBytes({ host }: RelaisHost): number {
  try {
    return Deno.statSync(`${host.root}/var/log/relais.log`).size;
  } catch {
    return 0;
  }
}

/** Sockets of `ControlMaster` (src/replication/ssh_arguments.ts). */
function keptConnections(runFolder: string): number {
  try {
    return [...Deno.readDirSync(runFolder)].filter(({ name }) => name.startsWith("ssh-")).length;
  } catch {
    return 0;
  }
}

/** The `ssh` that keeps a connection, or the peer's end of one. */
function isOfConnection(pid: number): boolean {
  try {
    const words = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
    return /^ssh: .*\[mux\]|^sshd: root@notty/.test(words);
  } catch {
    return false; // it ended meanwhile
  }
}

function folder(path: string): { readonly files: number; readonly bytes: number } {
  let files = 0, bytes = 0;
  try {
    for (const { name, isDirectory, isFile } of Deno.readDirSync(path)) {
      const below = `${path}/${name}`;
      if (isDirectory) {
        const inside = folder(below);
        files += inside.files;
        bytes += inside.bytes;
      } else {
        files++;
        if (isFile) bytes += Deno.statSync(below).size;
      }
    }
  } catch {
    // Not there, or gone meanwhile.
  }
  return { files, bytes };
}

function megabytes(status: string, field: string): number {
  const kilobytes = Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? NaN);
  return Math.round(kilobytes * 1024 / 1e4) / 100;
}
