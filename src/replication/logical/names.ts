/**
 * The names of the stream's objects in PostgreSQL. All begin with `relais_stream`, so that what is ours is
 * known by its name, also after a crash.
 *
 * @module
 */

/** Publication on the master and subscription on the slave. */
export const STREAM = "relais_stream";

/** Application name of the apply worker's connection: how the master's `pg_stat_replication` shows it. */
export const STREAM_APPLICATION = STREAM;

/** Slots: one for each seed, so that the old stream goes on until the new copy is in place. */
export const SLOT_PREFIX = `${STREAM}_`;

/** Name of a new slot. */
export function slotName(epoch: number, random: string = crypto.randomUUID()): string {
  return `${SLOT_PREFIX}${epoch}_${random.replaceAll("-", "").slice(0, 8)}`;
}

/** Whether a slot that the peer names can be one of ours. */
export function isSlotName(name: unknown): name is string {
  return typeof name === "string" && /^relais_stream_[0-9]{1,15}_[0-9a-f]{8}$/.test(name);
}
