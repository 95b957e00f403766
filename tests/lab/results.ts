/**
 * What the stories saw, for `dist/results/lab.json`: `{ commit, stories, failed, list: [...] }`.
 *
 * @module
 */

import { run } from "../../src/os/process.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import type { Seen } from "./outside.ts";

/** The file; the stories of one commit are collected in it, whatever files they stand in. */
export const RESULT_FILE = `${REPOSITORY}/dist/results/lab.json`;

/** One story. */
export interface StoryResult {
  readonly name: string;
  readonly result: "passed" | "failed";
  /** First lines of what went wrong. */
  readonly error?: string;
  /** How long the story took with everything around it, in milliseconds. */
  readonly tookMs: number;
  /** What the outside observers saw, by phase, and the times that the story noted. */
  readonly seen: Readonly<Record<string, Seen | number | string | boolean>>;
}

/** All stories of one commit. */
export interface LabResults {
  readonly commit: string;
  readonly stories: number;
  readonly failed: number;
  readonly list: readonly StoryResult[];
}

/** Adds a story to those of the same commit (a former result of the same name is replaced), or starts anew. */
export function withStory(
  before: LabResults | null,
  commit: string,
  story: StoryResult,
): LabResults {
  const others = before?.commit === commit ? before.list : [];
  const list = [...others.filter(({ name }) => name !== story.name), story];
  const failed = list.filter(({ result }) => result === "failed").length;
  return { commit, stories: list.length, failed, list };
}

/** Writes a story into {@linkcode RESULT_FILE}. Stories run one after the other, so nobody else writes. */
export async function recordStory(story: StoryResult): Promise<void> {
  const results = withStory(await readResults(), await commitNow(), story);
  await Deno.mkdir(`${REPOSITORY}/dist/results`, { recursive: true });
  await Deno.writeTextFile(`${RESULT_FILE}.new`, JSON.stringify(results, null, 2) + "\n");
  await Deno.rename(`${RESULT_FILE}.new`, RESULT_FILE);
}

async function readResults(): Promise<LabResults | null> {
  try {
    return JSON.parse(await Deno.readTextFile(RESULT_FILE)) as LabResults;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** The commit that is tested, marked when files were changed since. */
async function commitNow(): Promise<string> {
  const argv = ["git", "-C", REPOSITORY, "describe", "--always", "--abbrev=40", "--dirty"];
  const { code, stdout } = await run(argv, { deadlineMs: 20_000 });
  return code === 0 ? stdout.trim() : "unknown";
}
