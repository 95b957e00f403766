/**
 * What the daemon and `relais stream` ask of the database worker for the stream. A closed set, no SQL.
 *
 * @module
 */

import { z } from "zod";
import type { TableSelection } from "../database_protocol.ts";

const count = z.number().int().min(0);
const names = z.array(z.string().max(200)).max(10_000);

/** What PostgreSQL of one host has and lacks for the stream. */
export const streamFactsSchema = z.object({
  serverVersionNum: count,
  walLevel: z.string().max(50),
  /** `wal_level` is written down and waits for a restart. */
  restartPending: z.boolean(),
  /** `max_slot_wal_keep_size` in bytes; -1: no limit, a dead slave could fill the disk. */
  slotLimitBytes: z.number(),
  /** Places for slots and senders, all and used. */
  maxSlots: count,
  usedSlots: count,
  maxSenders: count,
  /** System user and role of the tunnel are there. */
  hasSystemUser: z.boolean(),
  hasRole: z.boolean(),
  dataDirectory: z.string().max(4096),
  databaseExists: z.boolean(),
  /** Tables of the publication; null: there is none. */
  published: names.nullable(),
  /** Copied tables without a key, which get REPLICA IDENTITY FULL. */
  withoutKey: names,
  /** What the stream cannot carry, in words. */
  notCarried: names,
  slots: names,
  subscriptions: names,
  synchronousNames: z.string().max(4096),
});
/** See the schema. */
export interface StreamFacts extends Readonly<z.infer<typeof streamFactsSchema>> {}

/** A slot of ours on the master. */
export interface SlotState {
  readonly name: string;
  readonly active: boolean;
  /** `reserved`, `extended`, `unreserved` or `lost`. */
  readonly walStatus: string;
  /** Bytes of log from what the slave has confirmed to the end. */
  readonly behindBytes: number;
  /** Confirmed position, as text: only compared. */
  readonly confirmed: string;
}

/** The stream as the master sees it. */
export interface SourceState {
  readonly walLevel: string;
  /** End of the log, in bytes since its beginning. */
  readonly lsn: number;
  readonly slots: readonly SlotState[];
  /** The apply worker's connection; null: there is none. */
  readonly sender: {
    readonly state: string;
    /** What the slave has applied, as {@linkcode SourceState.lsn}; null: nothing yet. */
    readonly replayLsn: number | null;
    /** PostgreSQL's own measure in milliseconds; null: nothing to measure lately. */
    readonly replayLagMs: number | null;
  } | null;
  readonly synchronousNames: string;
  /** Sessions whose commit waits for the slave, each with the start of its statement: one key a wait. */
  readonly waiting: readonly string[];
}

/** A sequence's position. */
export const sequenceSchema = z.object({
  /** `"schema"."name"`, quoted as needed. */
  name: z.string().min(1).max(300),
  /** Text: it may be greater than a double holds. */
  value: z.string().regex(/^-?[0-9]{1,20}$/),
});
/** See the schema. */
export interface SequencePosition extends Readonly<z.infer<typeof sequenceSchema>> {}

/** The stream as the slave sees it. */
export const targetStateSchema = z.object({
  /** Null: there is no subscription. */
  subscription: z.object({
    slot: z.string().max(100).nullable(),
    enabled: z.boolean(),
    /** The apply worker runs. */
    working: z.boolean(),
    /** Errors while applying since statistics began; a lost connection counts, too. */
    applyErrors: count,
  }).nullable(),
  /** Digest of the schema. */
  schema: z.string().max(128),
});
/** See the schema. */
export interface TargetState extends Readonly<z.infer<typeof targetStateSchema>> {}

/** Every operation of the stream: what it is given and what it answers. */
export interface StreamOperations {
  "stream-facts": {
    readonly args: TableSelection & { readonly role: string };
    readonly result: StreamFacts;
  };
  /** Role, limit of slots, `wal_level` (waits for a restart then); answers what was done, in words. */
  "stream-prepare": {
    readonly args: { readonly role: string; readonly logical: boolean };
    readonly result: readonly string[];
  };
  /** Makes the publication what the configuration says. */
  "stream-publish": {
    readonly args: TableSelection;
    readonly result: { readonly tables: number; readonly identities: readonly string[] };
  };
  "stream-source": { readonly args: Record<never, never>; readonly result: SourceState };
  "stream-schema": { readonly args: Record<never, never>; readonly result: string };
  "stream-sequences": {
    readonly args: { readonly localTables: readonly string[] };
    readonly result: readonly SequencePosition[];
  };
  /** Drops slots of ours but `keep` that nobody uses; answers their names. */
  "stream-drop-slots": {
    readonly args: { readonly keep: string | null; readonly force: boolean };
    readonly result: readonly string[];
  };
  /** Sets or clears `synchronous_standby_names`; never another's value. */
  "stream-synchronous": { readonly args: { readonly on: boolean }; readonly result: boolean };
  "stream-subscribe": {
    readonly args: {
      readonly conninfo: string;
      readonly slot: string;
      readonly synchronous: boolean;
    };
    readonly result: null;
  };
  "stream-target": { readonly args: Record<never, never>; readonly result: TargetState };
  "stream-carry-sequences": {
    readonly args: { readonly sequences: readonly SequencePosition[] };
    readonly result: number;
  };
  /** Ends the stream without the master and raises the sequences; answers what was done. */
  "stream-promote": {
    readonly args: { readonly patienceMs: number };
    readonly result: { readonly dropped: readonly string[]; readonly raised: number };
  };
  /** Removes everything of the stream from this host; answers what was done, in words. */
  "stream-teardown": {
    readonly args: { readonly role: string };
    readonly result: readonly string[];
  };
}
