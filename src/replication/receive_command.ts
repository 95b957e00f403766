/**
 * What a peer may ask of `relais receive`, taken apart strictly. Pure.
 *
 * @module
 */

import type { DataSetName, Role } from "../core/types.ts";
import { FACTS_NONCE } from "./host_facts.ts";
import { parsePeerFacts, type PeerFacts } from "./logical/peer_facts.ts";
import { SAMPLE_SEED } from "./verify/file_sums_protocol.ts";

/** A verb of `relais receive`. */
export type ReceiveVerb =
  | { readonly verb: "hello" }
  /** An order about the cluster key follows on standard input (`pairing/key_protocol.ts`). */
  | { readonly verb: "key" }
  /** `nonce`: what the key proofs of the answer are made over. */
  | { readonly verb: "facts"; readonly nonce: string }
  /** `id`: the copy goes on after a broken connection, by `resume`; absent: it does not. */
  | { readonly verb: "put"; readonly set: DataSetName; readonly id?: string }
  /** Another connection for the `put` of that id; `read`: how much of its talk the sender has read. */
  | {
    readonly verb: "resume";
    readonly set: DataSetName;
    readonly id: string;
    readonly read: number;
  }
  | { readonly verb: "get"; readonly set: "astdb" }
  /** The way back: of the database (`return/`), of files (`receive_return.ts`). */
  | { readonly verb: "return"; readonly what: "database" | "list" | "apply" }
  | { readonly verb: "database-tunnel" | "stream"; readonly peer: PeerFacts }
  /** `count` files of the declared ones, chosen by `seed`, with their digests. */
  | { readonly verb: "file-sums"; readonly seed: string; readonly count: number }
  | {
    readonly verb: "rsync";
    readonly epoch: number;
    readonly origin: Role;
    readonly snapshotWallMs: number;
    readonly fingerprint: string;
    /** From `--server` on. */
    readonly words: readonly string[];
  };

const SENTENCE =
  "a peer may ask for: hello, facts, key, put and resume SET, get astdb, file-sums, " +
  "return database|list|apply, database-tunnel, stream, and rsync as relais runs it";
/** What a sender calls a copy that may go on: random, so that no other one is meant. */
const COPY_ID = /^[0-9a-f]{32}$/;
const MAX_COMMAND_LENGTH = 8192;

/** Facts that the sender writes in front of rsync's own words. */
export interface RsyncFacts {
  readonly epoch: number;
  readonly origin: Role;
  readonly snapshotWallMs: number;
  readonly fingerprint: string;
}

/** The value of `--rsync-path` that {@linkcode parseReceiveCommand} understands. */
export function rsyncVerb(facts: RsyncFacts): string {
  return `rsync ${facts.epoch} ${facts.origin} ${facts.snapshotWallMs} ${facts.fingerprint}`;
}

/** Takes the text of `SSH_ORIGINAL_COMMAND` apart; nothing of it ever reaches a shell. */
export function parseReceiveCommand(text: string): ReceiveVerb | { readonly refused: string } {
  if (text.length > MAX_COMMAND_LENGTH) return refuse("a command that is too long");
  const words = splitWords(text);
  if (words === null) return refuse(`"${printable(text)}"`);
  switch (words.slice(0, 2).join(" ")) {
    case "hello":
      if (words.length === 1) return { verb: "hello" };
      break;
    case "key":
      if (words.length === 1) return { verb: "key" };
      break;
    case "put astdb":
    case "put database":
    case "put config":
    case "put hot":
    case "put files":
      if (words.length === 2) return { verb: "put", set: words[1] as DataSetName };
      if (words.length === 3 && COPY_ID.test(words[2]!)) {
        return { verb: "put", set: words[1] as DataSetName, id: words[2]! };
      }
      break;
    case "resume astdb":
    case "resume database":
    case "resume config":
    case "resume hot":
    case "resume files":
      if (words.length === 4 && COPY_ID.test(words[2]!) && /^[0-9]{1,15}$/.test(words[3]!)) {
        const [, set, id, read] = words;
        return { verb: "resume", set: set as DataSetName, id: id!, read: Number(read) };
      }
      break;
    case "get astdb":
      if (words.length === 2) return { verb: "get", set: "astdb" };
      break;
    case "return database":
    case "return list":
    case "return apply":
      if (words.length === 2) {
        return { verb: "return", what: words[1] as "database" | "list" | "apply" };
      }
      break;
    default:
      if (words[0] === "database-tunnel" || words[0] === "stream") {
        const peer = parsePeerFacts(words.slice(1));
        return peer === null ? refuse(`"${printable(text)}"`) : { verb: words[0], peer };
      }
      if (words[0] === "file-sums") return parseFileSums(words) ?? refuse(`"${printable(text)}"`);
      if (words[0] === "facts") return parseFacts(words) ?? refuse(`"${printable(text)}"`);
      if (words[0] === "rsync") return parseRsync(words) ?? refuse(`"${printable(text)}"`);
  }
  return refuse(`"${printable(text)}"`);
}

function parseFileSums(words: readonly string[]): ReceiveVerb | null {
  const [, seed = "", count = ""] = words;
  const isGood = words.length === 3 && SAMPLE_SEED.test(seed) && /^[1-9][0-9]{0,2}$/.test(count);
  return isGood ? { verb: "file-sums", seed, count: Number(count) } : null;
}

function parseFacts(words: readonly string[]): ReceiveVerb | null {
  const [, nonce = ""] = words;
  return words.length === 2 && FACTS_NONCE.test(nonce) ? { verb: "facts", nonce } : null;
}

function parseRsync(words: readonly string[]): ReceiveVerb | null {
  const [, epoch = "", origin, snapshot = "", fingerprint = "", ...rest] = words;
  if (!/^[0-9]{1,15}$/.test(epoch) || !/^[0-9]{1,15}$/.test(snapshot)) return null;
  if (origin !== "master" && origin !== "slave") return null;
  if (!/^[0-9A-Za-z:_-]{1,128}$/.test(fingerprint) || rest[0] !== "--server") return null;
  return {
    verb: "rsync",
    epoch: Number(epoch),
    origin,
    snapshotWallMs: Number(snapshot),
    fingerprint,
    words: rest,
  };
}

/**
 * Splits at spaces; a backslash takes the next character as it is (as rsync writes paths). Anything else
 * that a shell would interpret is refused rather than understood; null: refused.
 */
export function splitWords(text: string): readonly string[] | null {
  const words: string[] = [];
  let word = "";
  let open = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === "\\") {
      const next = text[++at];
      if (next === undefined || isControl(next)) return null;
      word += next;
      open = true;
    } else if (char === " ") {
      if (open) words.push(word);
      word = "";
      open = false;
    } else if (isControl(char) || `'"$\`;&|<>(){}*?!#`.includes(char)) {
      return null;
    } else {
      word += char;
      open = true;
    }
  }
  if (open) words.push(word);
  return words;
}

function isControl(char: string): boolean {
  const code = char.charCodeAt(0);
  return code < 32 || code === 127;
}

function printable(text: string): string {
  return [...text.slice(0, 100)].map((char) => isControl(char) ? "?" : char).join("");
}

function refuse(what: string): { readonly refused: string } {
  return { refused: `Cannot do ${what} here: ${SENTENCE}` };
}
