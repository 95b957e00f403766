/**
 * `relais stream setup` and `teardown`: what has to be done on both hosts, and the doing of it. Nothing here
 * asks the operator; the verb does.
 *
 * @module
 */

import type { LocalConfig } from "../../config/types.ts";
import type { Transport } from "../transport.ts";
import { readArming, writeArming } from "./arming.ts";
import { askPeer } from "./ask_peer.ts";
import type { StreamFacts } from "./operations.ts";
import { type PeerFacts, TUNNEL_USER } from "./peer_facts.ts";
import type { StreamDatabase } from "./stream_database.ts";

const DEADLINE_MS = 60_000;
/** First version with all that the stream uses (`wal_status`, `max_slot_wal_keep_size`). */
const OLDEST_SERVER = 130_000;
/** Slots and senders that a seed may need at a time: the old stream, the new one. */
const SLOTS_NEEDED = 2;

/** Both hosts. */
export interface StreamHosts {
  readonly config: LocalConfig;
  readonly stateDir: string;
  readonly database: StreamDatabase;
  readonly transport: Transport;
  /** Epoch that this host knows. */
  readonly epoch: number;
  /** For tests. */
  readonly role?: string;
}

/** What was found on both. */
export interface StreamSurvey {
  readonly armed: boolean;
  readonly here: StreamFacts;
  readonly there: StreamFacts;
}

/** What a set-up will do. */
export interface SetupPlan {
  /** Makes it impossible, each a sentence with what to do; empty: it can go on. */
  readonly obstacles: readonly string[];
  readonly steps: readonly string[];
  /** `wal_level` counts only after that. */
  readonly needsRestart: boolean;
  /** What the stream will not carry, in words. */
  readonly notCarried: readonly string[];
}

/** Looks at both hosts; changes nothing. */
export async function survey(hosts: StreamHosts): Promise<StreamSurvey> {
  const { config, stateDir, database } = hosts;
  const { localTables, excludeTableData } = config.replication.database!;
  const role = hosts.role ?? TUNNEL_USER;
  const here = await database.ask("stream-facts", { role, localTables, excludeTableData }, {
    deadlineMs: DEADLINE_MS,
  });
  const there = await ask(hosts, "facts");
  return { armed: readArming(stateDir).armed, here, there };
}

/** What would be done, from what was found; pure. */
export function planSetup(
  { armed, here, there }: StreamSurvey,
  { mode, role }: { readonly mode: "copy" | "stream"; readonly role: "master" | "slave" },
): SetupPlan {
  const obstacles: string[] = [];
  if (role !== "master") obstacles.push("this is the slave: run relais stream setup on the master");
  if (mode !== "stream") {
    obstacles.push(
      'mode is "copy": write mode = "stream" into [replication.database] on both hosts, then relais reload',
    );
  }
  for (const [name, facts] of [["here", here], ["on the slave", there]] as const) {
    if (facts.serverVersionNum < OLDEST_SERVER) {
      obstacles.push(`PostgreSQL ${name} is older than 13: the stream needs 13`);
    }
    if (!facts.hasSystemUser) {
      obstacles.push(
        `the system user ${TUNNEL_USER} is missing ${name}: the package makes it; or: ` +
          `adduser --system --group --no-create-home ${TUNNEL_USER}`,
      );
    }
  }
  if (!here.databaseExists) obstacles.push("the database does not exist here");
  if (here.maxSlots - here.usedSlots + here.slots.length < SLOTS_NEEDED) {
    obstacles.push("there is no room for two more slots here: raise max_replication_slots");
  }
  if (here.maxSenders < SLOTS_NEEDED + 1) {
    obstacles.push("max_wal_senders here is too small: raise it to 10");
  }
  const steps: string[] = [];
  if (!here.hasRole) steps.push("here: make the role relais (LOGIN, REPLICATION, no superuser)");
  if (!there.hasRole) steps.push("on the slave: make the role relais");
  if (here.slotLimitBytes < 0) {
    steps.push("here: max_slot_wal_keep_size = 2GB, so that an absent slave cannot fill the disk");
  }
  if (there.slotLimitBytes < 0) steps.push("on the slave: max_slot_wal_keep_size = 2GB");
  const needsRestart = here.walLevel !== "logical";
  if (needsRestart) {
    steps.push(
      "here: wal_level = logical, which needs a restart of PostgreSQL (all its sessions end once, for a second or two)",
    );
  }
  if (here.withoutKey.length > 0) {
    steps.push(
      `here: REPLICA IDENTITY FULL on ${here.withoutKey.length} tables without a primary key`,
    );
  }
  if (!armed) {
    steps.push("here: publish the copied tables, copy the database once, let the slave follow");
  }
  return { obstacles, steps, needsRestart, notCarried: here.notCarried };
}

/**
 * Prepares both hosts. What fails in the middle is undone as far as it was ours and new: the settings are
 * harmless, the roles go.
 *
 * @returns what was done, in words
 */
export async function prepareBoth(hosts: StreamHosts, before: StreamSurvey): Promise<string[]> {
  const { database } = hosts;
  const role = hosts.role ?? TUNNEL_USER;
  const here = await database.ask("stream-prepare", { role, logical: true }, {
    deadlineMs: DEADLINE_MS,
  });
  try {
    const there = await ask(hosts, "prepare");
    return [
      ...here.map((text) => `here: ${text}`),
      ...there.done.map((text) => `on the slave: ${text}`),
    ];
  } catch (error) {
    if (!before.armed && !before.here.hasRole) {
      await database.ask("stream-teardown", { role }, { deadlineMs: DEADLINE_MS }).catch(() => {
        // What went wrong first is what to tell.
      });
    }
    throw error;
  }
}

/** From here on the daemon makes and keeps the stream. */
export async function arm(hosts: Pick<StreamHosts, "stateDir">): Promise<void> {
  const { seededSchema } = readArming(hosts.stateDir);
  await writeArming(hosts.stateDir, { armed: true, seededSchema });
}

/**
 * Takes the stream down on both hosts; one that cannot be reached is named, and the other is done.
 *
 * @returns what was done, and what could not be
 */
export async function tearDown(
  hosts: StreamHosts,
): Promise<{ readonly done: readonly string[]; readonly failed: readonly string[] }> {
  const { stateDir, database } = hosts;
  const role = hosts.role ?? TUNNEL_USER;
  await writeArming(stateDir, { armed: false, seededSchema: null });
  const done: string[] = [];
  const failed: string[] = [];
  // The slave first: its apply worker would hold the slot here.
  const other = hosts.config.role === "master" ? "slave" : "master";
  await ask(hosts, "teardown").then(
    (answer) => done.push(...answer.done.map((text) => `on the ${other}: ${text}`)),
    (error) => failed.push(`on the ${other}: ${error.message}`),
  );
  await database.ask("stream-teardown", { role }, { deadlineMs: DEADLINE_MS }).then(
    (texts) => done.push(...texts.map((text) => `here: ${text}`)),
    (error) => failed.push(`here: ${error.message}`),
  );
  return { done, failed };
}

async function ask<Op extends "facts" | "prepare" | "teardown">(
  { config, transport, epoch }: StreamHosts,
  op: Op,
): ReturnType<typeof askPeer<Op>> {
  const { role: origin, fingerprint } = config;
  const facts: PeerFacts = { epoch, origin, fingerprint };
  const request = { op } as Parameters<typeof askPeer<Op>>[1];
  return await askPeer<Op>(transport, request, { facts, deadlineMs: DEADLINE_MS });
}
