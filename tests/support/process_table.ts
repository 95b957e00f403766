/**
 * Finds processes by the namespaces that they are in, never by name, and stops or continues them.
 *
 * @module
 */

/** Which link below `/proc/PID/ns/` to compare. */
export type NamespaceKind = "pid" | "pid_for_children" | "net" | "mnt";

/** Identity of a namespace of `pid` (e.g. `net:[4026532281]`), or null when the process is gone. */
export function namespaceOf(pid: number, kind: NamespaceKind): string | null {
  try {
    return Deno.readLinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return null; // ended, or a zombie
  }
}

/** Every process of the machine whose namespace of that kind is `identity`. */
export function pidsInNamespace(kind: NamespaceKind, identity: string): number[] {
  const found: number[] = [];
  for (const entry of Deno.readDirSync("/proc")) {
    const pid = Number(entry.name);
    if (Number.isInteger(pid) && namespaceOf(pid, kind) === identity) found.push(pid);
  }
  return found;
}

/** Sends a signal; false when the process is gone. */
export function signalPid(pid: number, signal: Deno.Signal): boolean {
  try {
    Deno.kill(pid, signal);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** One-letter state of a process (proc_pid_stat(5)): `R`, `S`, `T`, `Z`…; null when it is gone. */
export function processState(pid: number): string | null {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
  } catch {
    return null;
  }
}

/** Processes whose parent is `pid`. */
export function childrenOf(pid: number): number[] {
  try {
    const text = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`);
    return text.split(" ").filter((word) => word !== "").map(Number);
  } catch {
    return [];
  }
}
