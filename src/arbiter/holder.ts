/**
 * What the key in etcd says: who holds the right to serve. Written by one relais, read by the other one and
 * by people (`etcdctl get`).
 *
 * @module
 */

import { z } from "zod";
import type { Role } from "../core/types.ts";

/** See the module. */
export const RightHolder = z.object({
  role: z.enum(["master", "slave"]),
  /** The host's own address on the first network, for people. */
  host: z.string().max(200),
  epoch: z.number().int().min(0),
  /** Random id of the daemon process. */
  instanceId: z.string().max(100),
});
/** See the schema of the same name. */
export type RightHolder = z.infer<typeof RightHolder>;

/** Reads the key's value; null: nobody of us wrote it. */
export function readHolder(text: string): RightHolder | null {
  try {
    const parsed = RightHolder.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** Whether the right is this node's: there is one host of each role. A value that nobody understands is not. */
export function isMine(value: string, role: Role): boolean {
  return readHolder(value)?.role === role;
}
