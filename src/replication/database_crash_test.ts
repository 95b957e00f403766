import assert from "node:assert/strict";
import {
  databasePair,
  dumpOptions,
  installOptions,
  LIVE,
  receive,
} from "../../tests/support/database_pair.ts";
import type { DatabaseHost } from "../../tests/support/database_pair.ts";
import { readLines } from "./json_lines.ts";

const NEW = `${LIVE}_relais_new`;
const OLD = `${LIVE}_relais_old`;

/** Contents but for the unlogged table, which PostgreSQL empties after a crash. */
async function logged(host: DatabaseHost): Promise<Record<string, string>> {
  return { ...await host.contents(), session_cache: "unlogged" };
}

/** Installs in another process and kills that when it says `phase`. */
async function killInstallerAt(host: DatabaseHost, spool: string, phase: string): Promise<void> {
  const child = host.installer(spool);
  const errors = new Response(child.stderr).text();
  let reached = false;
  for await (const line of readLines(child.stdout, 1000)) {
    if (line !== phase) continue;
    reached = true;
    child.kill("SIGKILL");
    break;
  }
  await child.status;
  assert.ok(reached, `the installer did not come to ${phase}: ${await errors}`);
}

/** Installs and kills the whole server at `phase`. */
async function killServerAt(host: DatabaseHost, spool: string, phase: string): Promise<void> {
  let killed: Promise<void> | null = null;
  const installing = host.source().install({
    ...installOptions(spool),
    onProgress: (progress) => {
      if (progress.phase === phase) killed ??= host.cluster.kill();
    },
  });
  await assert.rejects(installing);
  assert.ok(killed !== null, `the installation did not come to ${phase}`);
  await killed;
  await host.cluster.boot();
}

Deno.test("cleanupLeftovers() leaves exactly one complete database", async (t) => {
  await using pair = await databasePair({ rows: 20_000 });
  const { slave } = pair;
  const spool = `${pair.directory}/spool`;
  await receive(await pair.master.source().dump(dumpOptions()), spool);
  await slave.source().install(installOptions(spool));
  const copied = await logged(slave);
  let round = 0;
  const changed = async (): Promise<Record<string, string>> => {
    const name = `round ${++round}`;
    await slave.cluster.psql(LIVE, `UPDATE context SET displayname = '${name}'`);
    return await logged(slave);
  };
  const settled = async (before: Record<string, string>, mayBeNew: boolean): Promise<void> => {
    await slave.source().cleanupLeftovers();
    assert.deepEqual(await slave.databases(), [LIVE]);
    const after = await logged(slave);
    if (!mayBeNew || after.context === before.context) assert.deepEqual(after, before);
    else assert.deepEqual(after, copied);
  };

  for (const phase of ["restore", "analyze", "verify", "swap", "done"]) {
    await t.step(`after relais was killed at "${phase}"`, async () => {
      const before = await changed();
      await killInstallerAt(slave, spool, phase);
      await settled(before, phase === "swap" || phase === "done");
    });
  }

  for (const phase of ["restore", "verify", "swap"]) {
    await t.step(`after the server was killed at "${phase}"`, async () => {
      const before = await changed();
      await killServerAt(slave, spool, phase);
      await settled(before, phase === "swap");
    });
  }

  await t.step("and an undisturbed installation works afterwards", async () => {
    await changed();
    await slave.source().install(installOptions(spool));
    assert.deepEqual(await logged(slave), copied);
  });

  await t.step("by renaming the old one back when the live one is missing", async () => {
    const before = await changed();
    await slave.cluster.psql("postgres", `ALTER DATABASE ${LIVE} RENAME TO ${OLD}`);
    await slave.cluster.psql("postgres", `CREATE DATABASE ${NEW}`);
    await settled(before, false);
  });

  await t.step("by dropping what is beside the live one, also with sessions in it", async () => {
    const before = await changed();
    await slave.cluster.psql("postgres", `CREATE DATABASE ${OLD}`);
    await slave.cluster.psql("postgres", `CREATE DATABASE ${NEW}`);
    await settled(before, false);
    await settled(before, false);
  });
});
