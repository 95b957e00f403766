import assert from "node:assert/strict";
import { type Asker, confirm, edited } from "./ask.ts";

Deno.test("edited() takes back what was erased while a password was typed", () => {
  assert.equal(edited("secret"), "secret");
  assert.equal(edited("sex\x7fcret"), "secret");
  assert.equal(edited("\x7f\bé\x7fa"), "a");
  assert.equal(edited("wrong\x15secret"), "secret");
});

Deno.test("confirm() takes nothing but yes for yes", async () => {
  const saying = (answer: string | null): Asker => ({ ask: () => Promise.resolve(answer) });
  for (const yes of ["y", "YES", "o", "oui"]) assert.ok(await confirm(saying(yes), "?"), yes);
  for (const no of ["", "n", "yo", null]) assert.ok(!await confirm(saying(no), "?"), String(no));
});
