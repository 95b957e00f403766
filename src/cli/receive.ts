/**
 * `relais receive`: the forced command of the peer's ssh key.
 *
 * @module
 */

import { buildInfo } from "../build_info.ts";
import { loadConfig, localConfig } from "../config/load.ts";
import type { LocalConfig } from "../config/types.ts";
import { collectFacts } from "../doctor/facts.ts";
import { askHello } from "../doctor/peer_call.ts";
import { messageOf } from "../os/errors.ts";
import { systemClock } from "../os/clock.ts";
import { writeAll } from "../os/write_all.ts";
import { PostgresDatabase } from "../replication/database.ts";
import { PostgresTables } from "../replication/postgres_tables.ts";
import { StreamDatabase } from "../replication/logical/stream_database.ts";
import { receive } from "../replication/receive.ts";
import type { HostFacts } from "../replication/host_facts.ts";
import { ReturnDatabase } from "../replication/return/return_database.ts";
import type { Permission, ReceiveGate } from "../replication/receive_gate.ts";
import { Memory, readBoot } from "../runtime/memory.ts";
import { controlSocket, type Paths } from "../runtime/paths.ts";
import { findRole } from "../runtime/preflight.ts";
import { ControlClient } from "./control_client.ts";
import { takeKeyOrder } from "./key_order.ts";

/** The peer is not kept waiting for an interface of ours. */
const ROLE_WAIT_MS = 2000;
/** Longest wait for an answer of the peer to our own call, by address. */
const BACK_WAIT_MS = 10_000;

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
  const local = localConfig(config, role);
  const client = new ControlClient(controlSocket(paths));
  return await receive(command, {
    config: local,
    stateDir: paths.stateDir,
    runDir: paths.runDir,
    clock: systemClock,
    gate: createGate(client),
    database: database === null ? null : new PostgresDatabase(database),
    tables: database === null ? null : new PostgresTables(database),
    returning: database === null ? null : new ReturnDatabase(database),
    streamDatabase: database === null ? null : new StreamDatabase(database),
    facts: (nonce) => facts(nonce, { config: local, paths, client, signal }),
    key: (order) => takeKeyOrder(order, { paths, client }),
    input: () => Deno.stdin.readable,
    write: (bytes) => writeAll(Deno.stdout, bytes),
    warn,
    signal,
  });
}

/** What `relais doctor` of the peer asks for; the way of ssh back to it is tried, too. */
async function facts(nonce: string, { config, paths, client, signal }: {
  readonly config: LocalConfig;
  readonly paths: Paths;
  readonly client: ControlClient;
  readonly signal: AbortSignal;
}): Promise<HostFacts> {
  const peer = config.role === "master" ? "slave" : "master";
  return await collectFacts({
    config,
    paths,
    version: buildInfo().label,
    nonce,
    daemon: async () => {
      const status = await client.status();
      return { state: status.node.state, hears: status.peer.verdict };
    },
    back: () => callBack(config, [...new Set(config.networks.map((each) => each[peer]))], signal),
    signal,
  });
}

/** The first of the peer's addresses on which its `relais receive` answers. */
async function callBack(
  { replication: { transport } }: LocalConfig,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const errors: string[] = [];
  for (const address of addresses) {
    try {
      const deadlineMs = BACK_WAIT_MS;
      await askHello({ transport, address, clock: systemClock, deadlineMs, signal });
      return address;
    } catch (error) {
      errors.push(messageOf(error));
    }
  }
  throw new Error(errors.join("; "));
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
    refused: async (refused) => {
      await client.receiveRefused(refused);
    },
  };
}
