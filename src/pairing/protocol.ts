/**
 * What `relais pair` says to `relais pair-peer` on the other host, through the ssh session of an
 * administrator: one JSON object a line, one answer to each. The session is the transaction: what was
 * changed and not kept is taken back when it ends, however it ends.
 *
 * @module
 */

import { z } from "zod";

/** Both sides must speak the same. */
export const PAIR_PROTOCOL = 1;

/** Longest line either way: a configuration and an authorized_keys file fit in. */
export const MAX_PAIR_LINE_BYTES = 4 * 1024 * 1024;

/** Files that may be written by name; where each one is, the host knows. */
export const PAIR_FILES = ["config", "key", "knownHosts", "authorizedKeys"] as const;

/** One of {@linkcode PAIR_FILES}. */
export type PairFile = typeof PAIR_FILES[number];

const text = z.string().max(MAX_PAIR_LINE_BYTES);
const path = z.string().min(1).max(1024).startsWith("/");
const address = z.string().min(2).max(45);

/** First line of `relais pair-peer`. */
export const greetingSchema = z.object({
  relais: z.literal("pair-peer"),
  protocol: z.number().int(),
  version: z.string(),
  /** Why this host cannot be paired at all (not root, another pairing works here); null: it can. */
  problem: z.string().nullable(),
});

/** What may be asked for. */
export const requestSchema = z.discriminatedUnion("do", [
  z.object({
    do: z.literal("inspect"),
    /** Text of the configuration that both hosts are to have; null: none is known. */
    config: text.nullable(),
    paths: z.object({ config: path, key: path }),
    /** How relais is run on the host; null: as the program that answers. */
    program: z.string().max(1024).nullable(),
  }),
  z.object({ do: z.literal("make-identity") }),
  z.object({ do: z.literal("remove-identity") }),
  z.object({ do: z.literal("read-key") }),
  z.object({
    do: z.literal("write"),
    file: z.enum(PAIR_FILES),
    /** Null: the file is removed. */
    text: text.nullable(),
    /** Leave what was there beside it. */
    backup: z.boolean(),
  }),
  z.object({ do: z.literal("hello"), addresses: z.array(address).min(1).max(64) }),
  z.object({ do: z.literal("undo") }),
  z.object({ do: z.literal("keep") }),
]);

/** One of those. */
export type PairRequest = z.infer<typeof requestSchema>;

/** What a host is and has, as far as pairing is concerned. */
const factsSchema = z.object({
  hostName: z.string(),
  /** `relais --version`. */
  version: z.string(),
  /** Under the configuration of the request. */
  role: z.enum(["master", "slave"]).nullable(),
  /** Why there is no role. */
  roleProblem: z.string().nullable(),
  /** Where the files are, for what people read. */
  places: z.object({
    config: z.string(),
    key: z.string(),
    identity: z.string(),
    knownHosts: z.string(),
    authorizedKeys: z.string(),
    hostKey: z.string(),
  }),
  /** Text of the configuration that is there; null: none, or an empty file. */
  config: text.nullable(),
  /** Fingerprint of its meaning; null: there is none, or it is refused. */
  configFingerprint: z.string().nullable(),
  /** SHA-256 of the keys in the key file; null: there is none. */
  keyDigest: z.string().nullable(),
  /** Why the key file that is there cannot be used. */
  keyProblem: z.string().nullable(),
  /** `ssh-ed25519 AAAA…`, from the private half; null: there is none, or no public half that fits. */
  identity: z.string().nullable(),
  /** By which sshd is known; null: sshd has no ed25519 key here. */
  hostKey: z.string().nullable(),
  knownHosts: text,
  authorizedKeys: text,
  /** What the peer's key is to run here. */
  command: z.array(z.string()),
});

/** What a host is and has. */
export interface HostFacts extends z.infer<typeof factsSchema> {}

/** How the way to one address of the peer was found, with the key of relais. */
const helloResultSchema = z.object({
  address: z.string(),
  /** Of the host that answered; null: none did. */
  role: z.enum(["master", "slave"]).nullable(),
  /** Of its configuration. */
  fingerprint: z.string().nullable(),
  /** Why none did. */
  problem: z.string().nullable(),
});

/** How the way to one address was found. */
export interface HelloResult extends z.infer<typeof helloResultSchema> {}

/** The answer to each request. */
export const ANSWERS = {
  inspect: factsSchema,
  "make-identity": z.object({ identity: z.string() }),
  "remove-identity": z.object({}),
  "read-key": z.object({ text }),
  write: z.object({ backup: z.string().nullable() }),
  hello: z.object({ results: z.array(helloResultSchema) }),
  undo: z.object({ failed: z.array(z.string()) }),
  keep: z.object({}),
} as const satisfies Record<PairRequest["do"], z.ZodType>;

/** Around each answer. */
export const envelopeSchema = z.union([
  z.object({ ok: z.literal(true), answer: z.unknown() }),
  z.object({ ok: z.literal(false), error: z.string() }),
]);

/** The answer to a request of this kind. */
export type AnswerTo<Kind extends PairRequest["do"]> = z.infer<(typeof ANSWERS)[Kind]>;

/** A host that takes part: this one, or the other through ssh. */
export interface PairHost {
  /**
   * Does what is asked.
   *
   * @throws {Error} in words for the operator; nothing of that request has then been done
   */
  ask<Request extends PairRequest>(request: Request): Promise<AnswerTo<Request["do"]>>;
}
