/**
 * `relais daemon`.
 *
 * @module
 */

import { ConfigError, IdentityError } from "../config/load.ts";
import { AlreadyRunningError } from "../health/control_server.ts";
import { KeyError } from "../heartbeat/key.ts";
import { messageOf } from "../os/errors.ts";
import { type Daemon, type DaemonOptions, startDaemon } from "../runtime/daemon.ts";
import { EXIT } from "./exit_codes.ts";

/** The way from the signals in `main.ts` to the daemon. */
export interface DaemonHandle {
  daemon: Daemon | null;
  /** Ends the wait for an address of our own, and a reception. */
  readonly abort: AbortController;
  /** Called before the daemon starts: install the signal listeners. */
  onDaemon?: () => void;
  /** The same for verbs that are asked to end through {@linkcode abort} only; `name` of the verb. */
  onRequest?: (name: string) => void;
}

/** Runs the daemon to its end and returns the exit status. */
export async function daemon(
  options: Omit<DaemonOptions, "signal">,
  handle: DaemonHandle,
): Promise<number> {
  handle.onDaemon?.();
  try {
    handle.daemon = await startDaemon({ ...options, signal: handle.abort.signal });
  } catch (error) {
    if (handle.abort.signal.aborted) return EXIT.ok;
    console.error(messageOf(error));
    if (error instanceof ConfigError) return EXIT.badConfig;
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return EXIT.noConfig;
    }
    if (error instanceof IdentityError || error instanceof KeyError) return EXIT.misconfigured;
    if (error instanceof AlreadyRunningError) return EXIT.failed;
    return EXIT.failed;
  }
  // Asked to end while it was being built, when there was nobody to tell yet.
  if (handle.abort.signal.aborted) handle.daemon.leave();
  await handle.daemon.done;
  return EXIT.ok;
}
