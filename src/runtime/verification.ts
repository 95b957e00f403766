/**
 * The last proof of the copies on this host: written by `relais verify`, shown by the daemon.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import type { StatusDocument } from "../health/types.ts";
import { writeFileAtomically } from "../os/durable_file.ts";
import { formatAge } from "./data_sets.ts";

/** A proof that is late by half of its period is an alarm. */
const OVERDUE_PERIODS = 1.5;

/** `verify.json` in the state directory. */
const recordSchema = z.object({
  atWallMs: z.number(),
  durationMs: z.number().min(0),
  result: z.enum(["equal", "different", "unchecked"]),
  text: z.string().max(2000),
});

/** See the schema: when it ended (this host's clock), how long it took (ms), what it found. */
export type VerificationRecord = z.infer<typeof recordSchema>;

/** Remembers what a proof found. */
export async function writeVerification(
  stateDir: string,
  record: VerificationRecord,
): Promise<void> {
  const path = join(stateDir, "verify.json");
  await writeFileAtomically(path, JSON.stringify({ ...record, text: record.text.slice(0, 2000) }));
}

/**
 * The last proof for the status; null: there is none, or its file is damaged.
 *
 * @param options.standsBy this host is the one whose copies are to be proved regularly, and stands by
 */
export function readVerification(stateDir: string, options: {
  readonly wallMs: number;
  readonly everyMs: number | null;
  readonly standsBy: boolean;
}): StatusDocument["verification"] {
  const { wallMs, everyMs, standsBy } = options;
  try {
    const text = Deno.readTextFileSync(join(stateDir, "verify.json"));
    const { atWallMs, durationMs, result, text: found } = recordSchema.parse(JSON.parse(text));
    const ageMs = Math.max(0, wallMs - atWallMs);
    return {
      at: new Date(atWallMs).toISOString(),
      ageMs,
      durationMs: Math.round(durationMs),
      result,
      text: found,
      everyMs,
      overdue: standsBy && everyMs !== null && ageMs > everyMs * OVERDUE_PERIODS,
    };
  } catch {
    return null; // Never proved; a damaged record counts as none and is replaced by the next proof.
  }
}

/** What an operator must know of it; null: nothing. */
export function verificationAlert(found: StatusDocument["verification"]): string | null {
  if (found === null) return null;
  if (found.result === "different") {
    return `The copies on this host are not what was copied: ${found.text}; run on the host that ` +
      "serves: relais sync";
  }
  if (found.result === "unchecked") {
    return `The copies on this host could not be proved: ${found.text}`;
  }
  return found.overdue
    ? `The copies on this host were last proved ${
      formatAge(found.ageMs ?? 0)
    } ago: run relais verify`
    : null;
}
