/**
 * The bookkeeping of `lab.json`.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type StoryResult, withStory } from "./results.ts";

const passed = (name: string): StoryResult => ({ name, result: "passed", tookMs: 1, seen: {} });
const failed = (name: string): StoryResult => ({ ...passed(name), result: "failed", error: "x" });

Deno.test("withStory() counts stories and failures", () => {
  const two = withStory(withStory(null, "abc", passed("one")), "abc", failed("two"));
  assert.deepEqual(two, {
    commit: "abc",
    stories: 2,
    failed: 1,
    list: [passed("one"), failed("two")],
  });
});

Deno.test("withStory() replaces the former result of a story", () => {
  const again = withStory(withStory(null, "abc", failed("one")), "abc", passed("one"));
  assert.deepEqual(again.list, [passed("one")]);
  assert.equal(again.failed, 0);
});

Deno.test("withStory() forgets what another commit did", () => {
  const next = withStory(withStory(null, "abc", failed("one")), "def", passed("two"));
  assert.deepEqual(next, { commit: "def", stories: 1, failed: 0, list: [passed("two")] });
});
