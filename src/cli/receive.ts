/**
 * `relais receive`: the forced command of the peer's ssh key.
 *
 * @module
 */

import { loadConfig, localConfig } from "../config/load.ts";
import { systemClock } from "../os/clock.ts";
import { writeAll } from "../os/write_all.ts";
import { PostgresDatabase } from "../replication/database.ts";
import { receive } from "../replication/receive.ts";
import type { Permission, ReceiveGate } from "../replication/receive_gate.ts";
import { Memory, readBoot } from "../runtime/memory.ts";
import { controlSocket, type Paths } from "../runtime/paths.ts";
import { findRole } from "../runtime/preflight.ts";
import { ControlClient } from "./control_client.ts";

/** The peer is not kept waiting for an interface of ours. */
const ROLE_WAIT_MS = 2000;

/** Does what the peer asks, if it is one of the known verbs and the daemon agrees. */
export async function receiveVerb({ words, paths, signal }: {
  readonly words: readonly string[];
  readonly paths: Paths;
  /** Aborts when the process is asked to end. */
  readonly signal: AbortSignal;
}): Promise<number> {
  const config = await loadConfig(paths.config);
  const warn = (text: string): void => console.error(`relais receive: ${text}`);
  const role = await findRole(config, {
    known: new Memory({ ...paths, boot: readBoot(systemClock), onTrouble: warn }).load()?.role ??
      null,
    clock: systemClock,
    signal: AbortSignal.any([signal, AbortSignal.timeout(ROLE_WAIT_MS)]),
    onWait: warn,
  });
  const { database } = config.replication;
  const command = words.length > 0 ? words.join(" ") : Deno.env.get("SSH_ORIGINAL_COMMAND") ?? "";
  return await receive(command, {
    config: localConfig(config, role),
    stateDir: paths.stateDir,
    clock: systemClock,
    gate: createGate(new ControlClient(controlSocket(paths))),
    database: database === null ? null : new PostgresDatabase(database),
    input: () => Deno.stdin.readable,
    write: (bytes) => writeAll(Deno.stdout, bytes),
    warn,
    signal,
  });
}

function createGate(client: ControlClient): ReceiveGate {
  const ask = async (header: Parameters<ReceiveGate["begin"]>[0]): Promise<Permission> => {
    const { ok, text } = await client.receiveBegin(header);
    return ok ? { ok: true } : { ok: false, reason: text };
  };
  return {
    whoAmI: async () => {
      const { node, maintenance } = await client.status();
      const serving = ["taking-over", "active", "handing-back"].includes(node.state) || maintenance;
      return { role: node.role, state: node.state, epoch: node.epoch, serving };
    },
    begin: ask,
    confirm: ask,
    end: async (outcome) => {
      await client.receiveEnd(outcome);
    },
  };
}
