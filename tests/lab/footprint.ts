/**
 * What a program leaves on a host: files, and what the kernel and systemd hold.
 *
 * @module
 */

import type { LabHost } from "./lab_host.ts";

/** Where other programs write all the time: logs, apt's and dpkg's own lists, data of the PBX. */
const VOLATILE = [
  "/var/log",
  "/var/cache",
  "/var/lib/apt",
  "/var/lib/dpkg",
  "/var/lib/systemd/timers",
  "/var/lib/postgresql",
  "/var/lib/asterisk",
  "/var/lib/xivo",
  "/var/spool",
  "/var/tmp",
  "/etc/xivo",
  "/tmp",
  "/run",
  "/root/.bash_history",
  // What the tools for users keep of the files before.
  "/etc/passwd-",
  "/etc/shadow-",
  "/etc/group-",
  "/etc/gshadow-",
] as const;

/**
 * Every file outside {@linkcode VOLATILE} with type, mode and owner, and the digest of each in `/etc`,
 * `/root` and `/usr/local`: one line each, sorted.
 */
export async function filesOf(host: LabHost): Promise<readonly string[]> {
  const pruned = VOLATILE.flatMap((path) => ["-path", path, "-o"]).slice(0, -1);
  const skip = ["(", ...pruned, ")", "-prune", "-o"];
  const all = ["find", "/", "/var", "-xdev", ...skip, "-printf", "%p %y %m %U:%G\\n"];
  const digests = ["find", "/etc", "/root", "/usr/local", "-xdev", ...skip];
  const listed = await host.read(all);
  const summed = await host.read([...digests, "-type", "f", "-exec", "sha256sum", "{}", "+"]);
  return [...listed.split("\n"), ...summed.split("\n")].sort();
}

/** Paths that have the program's name in them, anywhere, `/run` and dpkg's lists included. */
export async function namedFiles(host: LabHost, name: string): Promise<readonly string[]> {
  const find = ["find", "/", "/var", "/run", "-xdev", "-iname", `*${name}*`, "-not", "-path"];
  return (await host.read([...find, "/var/log/journal/*"])).split("\n").filter(Boolean).sort();
}

/** Addresses, routes, rules and packet filter, as the tools print them. */
export async function networkOf(host: LabHost): Promise<Record<string, string>> {
  return {
    addresses: await host.read(["ip", "-br", "-4", "address", "show"]),
    routes: await host.read(["ip", "-4", "route", "show", "table", "all"]),
    rules: await host.read(["ip", "rule", "show"]),
    filter: await host.read(["nft", "list", "ruleset"]),
  };
}

/** Processes of that name, one a line; empty: none. */
export async function processesOf(host: LabHost, name: string): Promise<string> {
  return (await host.try(["pgrep", "-ax", name])).stdout.trim();
}
