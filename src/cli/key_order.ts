/**
 * The key files of this host with its daemon behind them: for `relais keygen --rotate` here, and for the
 * orders of the other host's through `relais receive key`.
 *
 * @module
 */

import { KeyError } from "../heartbeat/key.ts";
import { messageOf } from "../os/errors.ts";
import { FileLock } from "../os/file_lock.ts";
import { type KeyDaemon, KeyFiles } from "../pairing/key_files.ts";
import { type KeyState, readOrder } from "../pairing/key_protocol.ts";
import { RefusedError } from "../replication/receive_gate.ts";
import type { Paths } from "../runtime/paths.ts";
import { type ControlClient, ControlError } from "./control_client.ts";

/** The key files, and the daemon that reads them. */
export function keyFilesOf({ key }: Pick<Paths, "key">, client: ControlClient): KeyFiles {
  return new KeyFiles(key, daemonOf(client));
}

/** One at a time changes the keys of a host. @throws {KeyError} when another one does */
export async function withKeyLock<T>(
  { runDir }: Pick<Paths, "runDir">,
  work: () => Promise<T>,
): Promise<T> {
  await Deno.mkdir(runDir, { recursive: true, mode: 0o755 });
  const lock = FileLock.tryTake(`${runDir}/key.lock`);
  if (lock === null) {
    throw new KeyError(
      "Cannot change the cluster key as a replacement works on it on this host: try again",
    );
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** Does what the other host orders. @throws {RefusedError} when it may not, or another replacement is under way */
export async function takeKeyOrder(
  line: string,
  { paths, client }: { readonly paths: Paths; readonly client: ControlClient },
): Promise<KeyState> {
  const files = keyFilesOf(paths, client);
  let order: ReturnType<typeof readOrder>;
  try {
    order = readOrder(line, files.keys);
  } catch (cause) {
    throw new RefusedError(messageOf(cause), { cause });
  }
  try {
    return await withKeyLock(paths, () => files.do(order));
  } catch (cause) {
    if (cause instanceof KeyError) throw new RefusedError(cause.message, { cause });
    throw cause;
  }
}

function daemonOf(client: ControlClient): KeyDaemon {
  return {
    keys: async () => {
      try {
        return (await client.status()).node.keys;
      } catch (cause) {
        if (cause instanceof ControlError && cause.kind === "not-running") return null;
        throw cause;
      }
    },
    reload: async () => {
      const { ok, text } = await client.reload();
      if (!ok) throw new Error(`the daemon did not take the keys: ${text}`);
    },
  };
}
