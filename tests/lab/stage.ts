/**
 * The stage of the stories: each has a laboratory of its own (booted in seconds from saved disks), the
 * outside observers, and a place in `dist/results/lab.json`. What the hosts' journals say about a story
 * that failed is kept in `dist/results/lab/`.
 *
 * ```
 * story("the master loses its power", async ({ laboratory, outside, note }) => {
 *   await outside.mark("power cut");
 *   await laboratory.master.crash();
 *   await outside.untilHolder("slave", { deadlineMs: 60_000 });
 *   note("power cut", await outside.seen("power cut"));
 * }, { from: PROVISIONED });
 * ```
 *
 * @module
 */

import { ToolTimeoutError } from "../../src/os/process.ts";
import { PollTimeoutError } from "../support/poll.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import type { LabHost } from "./lab_host.ts";
import { Laboratory, type LaboratoryOptions } from "./laboratory.ts";
import { Outside } from "./outside.ts";
import { recordStory, type StoryResult } from "./results.ts";

/** Where journals of failed stories go. */
const JOURNAL_FOLDER = `${REPOSITORY}/dist/results/lab`;

/**
 * A story that did not come to its end in time is played once more, from the same disks, and the results
 * say so; one in which something was seen that must not be fails at once.
 */
const TRIES = 2;

/** What a story is given. */
export interface Scene {
  readonly laboratory: Laboratory;
  readonly master: LabHost;
  readonly slave: LabHost;
  readonly outside: Outside;
  /** Writes something seen from outside into the story's entry of `lab.json`. */
  readonly note: (what: string, seen: StoryResult["seen"][string]) => void;
}

/** Registers a story as a test; `options.from` says which disks it starts with (default: fresh ones). */
export function story(
  name: string,
  work: (scene: Scene) => Promise<void>,
  options: LaboratoryOptions = {},
): void {
  Deno.test(name, async () => {
    const start = performance.now();
    const seen: Record<string, StoryResult["seen"][string]> = {};
    const note: Scene["note"] = (what, value) => {
      seen[what] = value;
    };
    const finish = async (result: StoryResult["result"], error?: unknown): Promise<void> => {
      const told = error === undefined ? {} : { error: String(error).slice(0, 2000) };
      const tookMs = Math.round(performance.now() - start);
      await recordStory({ name, result, ...told, tookMs, seen });
    };
    let error: unknown = null;
    for (let tries = 1; tries <= TRIES; tries++) {
      error = await play(name, work, { options, note }).then(() => null, (cause) => cause);
      if (error === null) return await finish("passed");
      if (!isLate(error)) break;
      // Kept in the results whatever comes of the next try.
      note(`too slow in try ${tries}`, String(error).slice(0, 500));
    }
    await finish("failed", error);
    throw error;
  });
}

/** Something did not come in time: the machine may have been busy. What was seen and is wrong is not that. */
function isLate(error: unknown): boolean {
  return error instanceof PollTimeoutError || error instanceof ToolTimeoutError;
}

async function play(
  name: string,
  work: (scene: Scene) => Promise<void>,
  { options, note }: { readonly options: LaboratoryOptions; readonly note: Scene["note"] },
): Promise<void> {
  await using laboratory = await Laboratory.open(options);
  await using outside = await Outside.start(laboratory);
  const { master, slave } = laboratory;
  try {
    await work({ laboratory, master, slave, outside, note });
  } catch (error) {
    await keepJournals(name, laboratory);
    throw error;
  }
}

/** The last lines of both hosts' journals, crashed boots included. */
async function keepJournals(name: string, { hosts }: Laboratory): Promise<void> {
  const base = `${JOURNAL_FOLDER}/${name.replaceAll(/[^A-Za-z0-9]+/g, "-").slice(0, 60)}`;
  await Deno.mkdir(JOURNAL_FOLDER, { recursive: true });
  for (const host of hosts) {
    const text = await host.journal(["-n", "3000", "-o", "short-precise"]).catch(String);
    await Deno.writeTextFile(`${base}-${host.name}.log`, text);
  }
}
