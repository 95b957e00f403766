/**
 * What the source of the database remembers of the copies that the peer has: the change signatures that were
 * read before each, in `<stateDir>/sets/database.signatures.json`. Equal signatures mean that nothing changed
 * since; a file that is lost or damaged means a copy more, never one less.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../os/durable_file.ts";
import type { SetState } from "./set_state.ts";

const copySchema = z.object({
  /** Digest of the copy that the peer took. */
  sha256: z.string(),
  epoch: z.number().int(),
  /** Read before its snapshot. */
  signatures: z.object({
    schema: z.string(),
    all: z.string(),
    configuration: z.string(),
  }),
  /** The cheap probe of the same moment. */
  probe: z.string(),
});

const fileSchema = z.object({
  database: copySchema.nullable().default(null),
  config: copySchema.nullable().default(null),
  hot: copySchema.nullable().default(null),
});

/** One remembered copy. */
export type RememberedCopy = z.infer<typeof copySchema>;

/** The sets whose changes are known by signatures. */
export type SignedSet = keyof z.infer<typeof fileSchema>;

/** See the module. */
export class DatabaseChanges {
  readonly #path: string;
  readonly #copies: z.infer<typeof fileSchema>;

  constructor(stateDir: string) {
    this.#path = join(stateDir, "sets", "database.signatures.json");
    this.#copies = load(this.#path);
  }

  /** The copy that the peer has, if `sent` (what was last sent) speaks of the same one; else null. */
  copy(set: SignedSet, sent: SetState, epoch: number): RememberedCopy | null {
    const copy = this.#copies[set];
    if (copy === null || copy.epoch !== epoch || sent.sha256 !== copy.sha256) return null;
    return sent.epoch === epoch && sent.lastError === null ? copy : null;
  }

  /** Remembers what the peer took; a full disk costs a copy more after the next start. */
  async remember(set: SignedSet, copy: RememberedCopy): Promise<void> {
    this.#copies[set] = copy;
    await writeFileAtomically(this.#path, JSON.stringify(this.#copies) + "\n").catch(() => {});
  }
}

function load(path: string): z.infer<typeof fileSchema> {
  try {
    return fileSchema.parse(JSON.parse(Deno.readTextFileSync(path)));
  } catch {
    return { database: null, config: null, hot: null };
  }
}
