/**
 * What a host tells of itself when its peer's `relais doctor` asks (`facts` of `relais receive`): numbers
 * and names to compare, nothing secret, nothing that anybody may choose.
 *
 * @module
 */

import { z } from "zod";
import { STATE_NAMES } from "../core/types.ts";

const word = z.string().max(200);
const sentence = z.string().max(2000);
const count = z.number().int().min(0);

/** Each fact is found apart: one that cannot be found says why, the others stand. */
function fact<T extends z.ZodType>(
  value: T,
): z.ZodUnion<readonly [z.ZodObject<{ value: T }>, z.ZodObject<{ error: z.ZodString }>]> {
  return z.union([z.object({ value }), z.object({ error: sentence })]);
}

/** What the worker finds about the database and its own rights in it; it changes nothing. */
export const DatabaseRights = z.object({
  serverVersionNum: count,
  role: word,
  superuser: z.boolean(),
  /** May create databases, and so rename its own. */
  createDatabases: z.boolean(),
  liveExists: z.boolean(),
  /** Null: there is no live database. */
  databaseBytes: count.nullable(),
  /** Free space where the server keeps its data; null: its directory is not told to this role. */
  freeBytes: count.nullable(),
  /** Databases of a copy that did not end. */
  leftovers: z.array(word).max(10),
  /** `wal_level`; absent: a host of an older version. */
  walLevel: word.optional(),
  /** `max_slot_wal_keep_size` in megabytes; -1: without bound. */
  slotWalMegabytes: z.number().int().optional(),
});
/** See the schema of the same name. */
export type DatabaseRights = z.infer<typeof DatabaseRights>;

/** Room on one file system. */
export const DiskRoom = z.object({
  what: z.enum(["state", "files"]),
  path: z.string().max(4096),
  freeBytes: count,
  totalBytes: count,
});
/** See the schema of the same name. */
export type DiskRoom = z.infer<typeof DiskRoom>;

/** Answer to `facts`. */
export const HostFacts = z.object({
  version: word,
  role: z.enum(["master", "slave"]),
  fingerprint: word,
  /** Of `/etc/localtime`, such as `Europe/Paris`. */
  timeZone: fact(word),
  clockSynchronised: fact(z.boolean()),
  /** `systemname` of asterisk.conf; null: not set. */
  systemName: fact(word.nullable()),
  /** Null: Asterisk is not installed. */
  asterisk: fact(word.nullable()),
  /** Null: no database is configured. */
  database: fact(DatabaseRights.nullable()),
  disks: fact(z.array(DiskRoom).max(100)),
  links: fact(z.array(z.object({ network: word, interface: word, mtu: count })).max(50)),
  /** Sentences for tools that are not installed. */
  missingTools: fact(z.array(sentence).max(50)),
  /** One for each cluster key of the host, over the nonce of the question. */
  keyProofs: fact(z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(8)),
  /** Null: its daemon does not answer. */
  daemon: z.object({ state: z.enum(STATE_NAMES), hears: word }).nullable(),
  /** The way of ssh from it to us; null: it was not asked to try. */
  back: fact(word).nullable(),
});
/** See the schema of the same name. */
export type HostFacts = z.infer<typeof HostFacts>;

/** A fact, or why it could not be found. */
export type Fact<T> = { readonly value: T } | { readonly error: string };

/** Last line of `facts`. */
export const factsSchema = z.object({
  ok: z.literal(true),
  facts: HostFacts,
  /** Wall clock of the host at the moment of the answer. */
  wallMs: z.number(),
});

/** What a host tells, and what its clock said then. */
export interface FactsAnswer extends z.infer<typeof factsSchema> {}

/** The nonce of `facts NONCE`: what the key proofs are made over. */
export const FACTS_NONCE = /^[0-9a-f]{32}$/;
