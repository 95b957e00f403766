/**
 * `relais keygen --rotate` and `--finish`: another cluster key on both hosts, without a gap.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { loadConfig, localConfig } from "../config/load.ts";
import { CallError, callPeer } from "../doctor/peer_call.ts";
import { generateKey, nextKeyPath, readKeyFile } from "../heartbeat/key.ts";
import { systemClock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import type { KeyFiles } from "../pairing/key_files.ts";
import { type KeyOrder, KeyState, writeOrder } from "../pairing/key_protocol.ts";
import { type KeyHost, OfferRefusedError, rotate } from "../pairing/rotate.ts";
import { RECEIVE_EXIT } from "../replication/remote_protocol.ts";
import { controlSocket, type Paths } from "../runtime/paths.ts";
import { findRole } from "../runtime/preflight.ts";
import { ControlClient } from "./control_client.ts";
import { EXIT } from "./exit_codes.ts";
import { keyFilesOf, withKeyLock } from "./key_order.ts";

const ROLE_WAIT_MS = 5000;
/** ssh gives up to connect after 3 s; a reload on the other host waits for a move in progress, 30 s. */
const CALL_MS = 60_000;

/** Replaces the key on both hosts, or goes on with it; says what holds after each step. */
export async function keygenRotate(paths: Paths, signal: AbortSignal): Promise<number> {
  const client = new ControlClient(controlSocket(paths));
  const files = keyFilesOf(paths, client);
  return await withKeyLock(paths, async () => {
    const there = await findPeer(paths, { files, signal });
    const { id, resumed } = await rotate({
      here: files,
      there,
      makeKey: generateKey,
      readNext: () => readNext(paths.key),
      onStep: (text) => console.log(`${text}.`),
    });
    const what = resumed ? "The replacement is complete" : "Done";
    console.log(`${what}: both hosts have the cluster key ${id} and no other.`);
    return EXIT.ok;
  });
}

/** Keeps the key that signs, on this host alone. */
export async function keygenFinish(paths: Paths): Promise<number> {
  const client = new ControlClient(controlSocket(paths));
  const files = keyFilesOf(paths, client);
  return await withKeyLock(paths, async () => {
    const { current } = await files.keepFirst();
    console.log(
      `This host has the cluster key ${
        current[0]
      } and no other. The other host must sign with it, too: relais doctor`,
    );
    return EXIT.ok;
  });
}

/** As base64; null: none is to follow. */
function readNext(path: string): string | null {
  try {
    const [key] = readKeyFile(nextKeyPath(path));
    return key === undefined ? null : Buffer.from(key).toString("base64");
  } catch (cause) {
    if (cause instanceof Error && cause.cause instanceof Deno.errors.NotFound) return null;
    throw cause;
  }
}

async function findPeer(paths: Paths, { files, signal }: {
  readonly files: KeyFiles;
  readonly signal: AbortSignal;
}): Promise<KeyHost> {
  const loaded = await loadConfig(paths.config);
  const role = await findRole(loaded, {
    known: null,
    clock: systemClock,
    signal: AbortSignal.any([signal, AbortSignal.timeout(ROLE_WAIT_MS)]),
    onWait: (text) => console.error(`relais: ${text}`),
  });
  const { networks, replication: { transport } } = localConfig(loaded, role);
  const peer = role === "master" ? "slave" : "master";
  const addresses = [...new Set(networks.map((network) => network[peer]))];
  const ask = async (order: KeyOrder, address: string): Promise<KeyState> => {
    const [key] = files.keys;
    const input = `${writeOrder(order, key!)}\n`;
    const options = { transport, clock: systemClock, deadlineMs: CALL_MS, signal, input };
    const { line } = await callPeer("key", { ...options, address });
    return KeyState.parse("key" in line ? line.key : null);
  };
  return {
    do: async (order) => {
      const errors: string[] = [];
      for (const address of addresses) {
        try {
          return await ask(order, address);
        } catch (cause) {
          const code = cause instanceof CallError ? cause.code : null;
          if (code === RECEIVE_EXIT.refused) {
            throw new OfferRefusedError(messageOf(cause), { cause });
          }
          // ssh did not reach it: another network may.
          if (code !== 255) throw cause;
          errors.push(messageOf(cause));
        }
      }
      throw new Error(`the other host does not answer over ssh: ${errors.join("; ")}`);
    },
  };
}
