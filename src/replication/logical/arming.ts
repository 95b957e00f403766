/**
 * `stream.json` in the state directory: `relais stream setup` has run on this host, and what the daemon must
 * remember of the seed beyond its own life.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../../os/durable_file.ts";

const schema = z.object({
  armed: z.boolean(),
  /** Digest of the schema when the slave was seeded last; null: never. */
  seededSchema: z.string().nullable(),
});

/** See the schema. */
export interface Arming extends Readonly<z.infer<typeof schema>> {}

const NONE: Arming = { armed: false, seededSchema: null };

/** Reads it; what is not there or damaged counts as never set up. */
export function readArming(stateDir: string): Arming {
  try {
    return schema.parse(JSON.parse(readFileSync(join(stateDir, "stream.json"), "utf8")));
  } catch {
    return NONE;
  }
}

/** Replaces it. @throws when the disk can't be written */
export async function writeArming(stateDir: string, arming: Arming): Promise<void> {
  await writeFileAtomically(join(stateDir, "stream.json"), JSON.stringify(arming));
}
