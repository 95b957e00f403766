/**
 * Before the master's copy replaces the slave's database: what the slave gained and could not give back (it
 * lost the service otherwise than by a hand-back) is kept in a dated folder.
 *
 * @module
 */

import { messageOf } from "../../os/errors.ts";
import type { ReceiveContext } from "../receive.ts";
import { ReturnFolder } from "./return_folder.ts";
import { ReturnState } from "./return_state.ts";

/**
 * Keeps it; nothing to do if there is nothing.
 *
 * @throws when it can't be kept: then the copy must not be installed
 */
export async function saveUndelivered(
  context: Pick<ReceiveContext, "stateDir" | "clock" | "signal"> & {
    readonly returning?: ReceiveContext["returning"];
  },
): Promise<void> {
  const { stateDir, clock, signal, returning = null } = context;
  const state = new ReturnState(stateDir);
  const pending = await state.pending();
  if (pending === null || returning === null) return;
  let word: string;
  if (pending.mode === "none" || !pending.prepared) {
    word = pending.mode === "none"
      ? 'what changed in the database of this host while it served is replaced (return = "none")'
      : "what changed in the database of this host while it served is replaced; it is not known " +
        `apart: ${pending.why}`;
  } else {
    try {
      word = await save(returning, stateDir, clock.wallMs(), signal);
    } catch (cause) {
      throw new Error(
        "Cannot replace the database as what this host gained while it served could not be kept: " +
          messageOf(cause),
        { cause },
      );
    }
  }
  await state.leaveWord(word);
  await state.setPending(null);
  await state.setDecisions(null);
  // A slot would keep the database from being replaced.
  if (pending.mode !== "none") await returning.done(signal);
}

async function save(
  returning: NonNullable<ReceiveContext["returning"]>,
  stateDir: string,
  wallMs: number,
  signal: AbortSignal,
): Promise<string> {
  return await returning.gained(signal, async (summary, changes) => {
    if (summary === null || (summary.total === 0 && summary.notes.length === 0)) {
      return "the database of this host gained nothing while it served";
    }
    const folder = await ReturnFolder.begin(stateDir, wallMs);
    // deno-lint-ignore no-empty -- written by keep()
    for await (const _ of folder.keep(changes())) {}
    const why = "The service went back without these rows, as there was no orderly hand-back.";
    const { path, removed } = await folder.end({
      delivered: false,
      why,
      summary,
      conflicts: [],
      replaced: [],
    });
    return `${summary.total} rows that this host gained while it served did not travel: they are in ` +
      `${path}${removed === null ? "" : `; ${removed}`}`;
  });
}
