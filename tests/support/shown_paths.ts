/**
 * Folders of the machine that every test host sees as they are, beside the copy of `/`.
 *
 * @module
 */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository, read-only inside hosts: a build under way must not show half through an overlay. */
export const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");

/** Deno's cache on the machine (`deno info`), needed to run from source inside a host. */
export function denoCacheFolder(): string {
  const home = Deno.env.get("HOME") ?? "/root";
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`;
  return Deno.env.get("DENO_DIR") ?? `${cache}/deno`;
}

/** Arguments for `host_init.sh`: `ro:/path` or `rw:/path`. */
export function shownPaths(): string[] {
  const shown = [`ro:${REPOSITORY}`];
  const runtime = dirname(Deno.execPath());
  // The copy of `/` has one file system only; what is mounted elsewhere is shown by hand.
  if (!isOnRootFileSystem(runtime) && !runtime.startsWith(REPOSITORY + "/")) {
    shown.push(`ro:${runtime}`);
  }
  Deno.mkdirSync(denoCacheFolder(), { recursive: true });
  shown.push(`rw:${denoCacheFolder()}`); // its databases are made for several users at a time
  return shown;
}

function isOnRootFileSystem(path: string): boolean {
  return Deno.statSync(path).dev === Deno.statSync("/").dev;
}
