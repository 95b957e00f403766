/**
 * What `relais keygen --rotate` asks of `relais receive key` on the other host: one JSON line, one answer.
 * The way is ssh with pinned keys; and what changes something is proved with the cluster key as well, so
 * that a stolen ssh key alone cannot bring in a cluster key.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";

const id = z.string().regex(/^[0-9a-f]{16}$/, "is not the name of a key");

/** What is to be done with the key files of a host. */
export const KeyOrder = z.discriminatedUnion("do", [
  /** Nothing; have the daemon read the files, if it has not. */
  z.strictObject({ do: z.literal("look") }),
  /** Accept this key (base64) as well. */
  z.strictObject({ do: z.literal("offer"), key: z.string().min(40).max(200) }),
  /** Sign with the key of this name, which is accepted already; go on accepting the others. */
  z.strictObject({ do: z.literal("promote"), id }),
  /** Forget all but the key of this name, which signs already. */
  z.strictObject({ do: z.literal("finish"), id }),
]);
/** See the schema of the same name. */
export type KeyOrder = z.infer<typeof KeyOrder>;

/** The keys of a host, by their names (`keyId`). */
export const KeyState = z.object({
  /** Of the key file; the first signs. */
  current: z.array(id).min(1).max(16),
  /** The one that is to follow; null: none. */
  next: id.nullable(),
  /** The host's daemon uses them; false: no daemon runs there, it will read them when it starts. */
  running: z.boolean(),
});
/** See the schema of the same name. */
export type KeyState = z.infer<typeof KeyState>;

const Request = z.strictObject({ order: z.string().max(1000), mac: z.string() });

/** The line that carries an order, proved with `key`. */
export function writeOrder(order: KeyOrder, key: Uint8Array): string {
  const text = JSON.stringify(order);
  return JSON.stringify({ order: text, mac: mac(key, text).toString("hex") });
}

/**
 * Reads such a line.
 *
 * @throws {Error} when it is none, or is not proved with one of `keys` although it changes something
 */
export function readOrder(line: string, keys: readonly Uint8Array[]): KeyOrder {
  const { order: text, mac: given } = Request.parse(JSON.parse(line));
  const order = KeyOrder.parse(JSON.parse(text));
  if (order.do === "look" || keys.some((key) => isMac(given, mac(key, text)))) return order;
  throw new Error(
    "Cannot change the cluster key as the order is not proved with a cluster key of this host: the hosts " +
      "have different keys (relais pair --force makes them equal)",
  );
}

function isMac(given: string, expected: Buffer): boolean {
  return /^[0-9a-f]{64}$/.test(given) && timingSafeEqual(Buffer.from(given, "hex"), expected);
}

/** Begins differently from everything else that is signed with this key. */
function mac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update("relais-key-order-1\n").update(text).digest();
}
