/**
 * Runs tools as another system user (PostgreSQL's peer authentication looks at the uid of the process).
 * The child gets its uid and gid between fork and exec, as `setpriv --reuid --regid --clear-groups`
 * does: no process stands between relais and the tool, so a kill reaches the tool itself, its exit
 * status is its own, and no PAM session is opened for it (what `runuser` would do).
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { run } from "./process.ts";

/** Identity of a child process, as `Deno.CommandOptions` takes it; empty: the identity of relais. */
export type ProcessUser = { readonly uid: number; readonly gid: number } | Record<never, never>;

/** How long the name service may take, in milliseconds. */
const LOOKUP_DEADLINE_MS = 10_000;

/**
 * Finds uid and gid of a system user; empty if relais runs as that user already.
 *
 * @throws {Error} when there is no such user, or relais may not change to it
 */
export async function lookupUser(name: string): Promise<ProcessUser> {
  const entry = await passwdEntry(name);
  if (entry === null) {
    throw new Error(
      `Cannot work as user "${name}" as this system has no such user: create it or correct os_user`,
    );
  }
  if (entry.uid === Deno.uid()) return {};
  if (Deno.uid() !== 0) {
    throw new Error(`Cannot work as user "${name}" as only root may change to it: run as root`);
  }
  return entry;
}

/** Looks into /etc/passwd first; `getent` knows users of other name services too (LDAP, sssd). */
async function passwdEntry(name: string): Promise<{ uid: number; gid: number } | null> {
  const local = findEntry(await readFile("/etc/passwd", "utf8"), name);
  if (local !== null) return local;
  const asked = await run(["getent", "passwd", name], { deadlineMs: LOOKUP_DEADLINE_MS });
  return asked.code === 0 ? findEntry(asked.stdout, name) : null;
}

/** passwd(5): name:password:uid:gid:… */
function findEntry(passwd: string, name: string): { uid: number; gid: number } | null {
  for (const line of passwd.split("\n")) {
    const [entry, , uid, gid] = line.split(":");
    if (entry === name && uid !== undefined && gid !== undefined) {
      return { uid: Number(uid), gid: Number(gid) };
    }
  }
  return null;
}
