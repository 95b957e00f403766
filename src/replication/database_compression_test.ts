import assert from "node:assert/strict";
import {
  databasePair,
  dumpOptions,
  installOptions,
  LIVE,
  receive,
} from "../../tests/support/database_pair.ts";

Deno.test("a dump without compression is what pg_dump wrote, and is restored as whole as another", async () => {
  await using pair = await databasePair({ rows: 500 });
  const file = `${pair.directory}/plain`;
  await receive(await pair.master.source({ compression: "none" }).dump(dumpOptions()), file);
  const bytes = await Deno.readFile(file);
  assert.ok(new TextDecoder("latin1").decode(bytes).includes("PGDMP"), "it is not compressed");
  await pair.slave.source({ compression: "none" }).install(installOptions(file));
  const [there, here] = await Promise.all([pair.slave.contents(LIVE), pair.master.contents(LIVE)]);
  const cel = Object.keys(here).find((name) => /\bcel$/.test(name)) ?? "cel";
  assert.ok(here[cel] !== undefined && there[cel] === here[cel]);

  // Two hosts that do not agree: the restore fails, it never takes a part for the whole.
  await assert.rejects(pair.slave.source().install(installOptions(file)));
  assert.deepEqual(await pair.slave.contents(LIVE), there);
});
