/**
 * What the slave remembers of a way back that is to come: `<state>/return/pending.json` from the takeover
 * to its end, `decisions.json` of the operator, `saved.json` for the daemon to tell.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import { removeIfThere, writeFileAtomically } from "../../os/durable_file.ts";
import { returnFolder } from "./return_folder.ts";
import { type Decisions, decisionsSchema } from "./return_types.ts";

const pendingSchema = z.object({
  mode: z.enum(["none", "tables", "all"]),
  /** When this host took over, its own wall clock. */
  sinceWallMs: z.number(),
  /** What changes is known. */
  prepared: z.boolean(),
  /** Why not. */
  why: z.string().nullable(),
  /** The operator wants to go back without what can't travel, this once. */
  go: z.boolean(),
  /** `none`: PostgreSQL's counters at the takeover. */
  counters: z.object({
    database: z.string(),
    inserted: z.number(),
    updated: z.number(),
    deleted: z.number(),
  }).nullable(),
});
/** See the schema. */
export interface PendingReturn extends Readonly<z.infer<typeof pendingSchema>> {}

/** Reads and writes the files. */
export class ReturnState {
  readonly #folder: string;

  constructor(stateDir: string) {
    this.#folder = returnFolder(stateDir);
  }

  /** Null: no way back is to come. */
  async pending(): Promise<PendingReturn | null> {
    return await this.#read("pending.json", pendingSchema);
  }

  /** Null: it is over. */
  async setPending(pending: PendingReturn | null): Promise<void> {
    await this.#write("pending.json", pending);
  }

  /** What the operator decided. */
  async decisions(): Promise<Decisions> {
    return await this.#read("decisions.json", decisionsSchema) ?? {};
  }

  /** Null: none. */
  async setDecisions(decisions: Decisions | null): Promise<void> {
    await this.#write("decisions.json", decisions);
  }

  /** `relais receive` leaves a sentence for the daemon. */
  async leaveWord(text: string): Promise<void> {
    await this.#write("saved.json", { text });
  }

  /** The daemon takes it; null: there is none. */
  async takeWord(): Promise<string | null> {
    const word = await this.#read("saved.json", z.object({ text: z.string() }));
    if (word !== null) await this.#write("saved.json", null);
    return word?.text ?? null;
  }

  async #read<T>(name: string, schema: z.ZodType<T>): Promise<T | null> {
    try {
      const parsed = schema.safeParse(
        JSON.parse(await Deno.readTextFile(join(this.#folder, name))),
      );
      return parsed.success ? parsed.data : null;
    } catch (cause) {
      // Of another version or damaged: written whole or not at all, so nobody but a person does that.
      if (cause instanceof Deno.errors.NotFound || cause instanceof SyntaxError) return null;
      throw cause;
    }
  }

  async #write(name: string, value: unknown): Promise<void> {
    const path = join(this.#folder, name);
    if (value === null) return await removeIfThere(path);
    await Deno.mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await writeFileAtomically(path, `${JSON.stringify(value)}\n`);
  }
}
