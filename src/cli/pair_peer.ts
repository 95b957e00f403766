/**
 * `relais pair-peer`: what `relais pair` of the other host runs here, as root, within the ssh session of an
 * administrator. Not a verb for people: it answers JSON lines and takes back what was not kept.
 *
 * @module
 */

import { buildInfo } from "../build_info.ts";
import { systemClock } from "../os/clock.ts";
import { FileLock } from "../os/file_lock.ts";
import { writeAll } from "../os/write_all.ts";
import { LocalHost } from "../pairing/local_host.ts";
import { PAIR_LOCK } from "../pairing/places.ts";
import { PAIR_PROTOCOL } from "../pairing/protocol.ts";
import { servePairing } from "../pairing/serve.ts";
import { DEFAULT_PATHS } from "../runtime/paths.ts";
import { ownAddresses } from "../runtime/preflight.ts";
import type { DaemonHandle } from "./daemon.ts";
import { EXIT } from "./exit_codes.ts";

/** Serves one session on standard input and output; returns the exit status. */
export async function pairPeer(handle: DaemonHandle): Promise<number> {
  handle.onRequest?.("relais pair-peer");
  const { signal } = handle.abort;
  const isRoot = Deno.uid() === 0;
  const lock = isRoot ? FileLock.tryTake(PAIR_LOCK) : null;
  const problem = !isRoot
    ? "only root can pair: log in as root, or as a user with sudo"
    : lock === null
    ? "another relais pair works there, or the peer is this host itself"
    : null;
  const host = new LocalHost({
    clock: systemClock,
    ownAddresses,
    defaultConfig: DEFAULT_PATHS.config,
    signal,
  });
  try {
    const isWhole = await servePairing({
      greeting: {
        relais: "pair-peer",
        protocol: PAIR_PROTOCOL,
        version: buildInfo().label,
        problem,
      },
      host: problem === null ? host : null,
      input: Deno.stdin.readable,
      write: (bytes) => writeAll(Deno.stdout, bytes),
      warn: (text) => console.error(`relais pair-peer: ${text}`),
      clock: systemClock,
      signal,
    });
    return isWhole ? EXIT.ok : EXIT.failed;
  } finally {
    lock?.release();
  }
}
