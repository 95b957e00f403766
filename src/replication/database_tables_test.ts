import assert from "node:assert/strict";
import { TableCount } from "./database_tables.ts";

Deno.test("TableCount counts the tables whose rows are in", () => {
  const tables = new TableCount(3);
  const done = (): number | undefined => tables.progress.tablesDone;
  assert.equal(tables.hear('pg_restore: creating TABLE "public.cel"'), true);
  assert.equal(done(), 0);
  tables.hear('pg_restore: processing data for table "public.cel"');
  assert.equal(done(), 0, "its rows are on their way");
  tables.hear('pg_restore: processing data for table "public.mail"');
  assert.equal(done(), 1);
  tables.hear('pg_restore: creating INDEX "public.cel_linkedid_idx"');
  assert.deepEqual(tables.progress, { tablesDone: 3, tablesTotal: 3 });
});

Deno.test("TableCount leaves errors to be told", () => {
  const tables = new TableCount(1);
  for (
    const line of [
      "pg_restore: error: could not execute query: ERROR:  no space",
      "pg_restore: warning: errors ignored on restore: 1",
      "Command was: COPY public.cel FROM stdin;",
    ]
  ) assert.equal(tables.hear(line), false, line);
});
