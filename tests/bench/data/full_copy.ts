/**
 * What a full copy of the database costs: its time beside the bare `pg_dump | pg_restore` pipe, and what it
 * takes from those who write on the master meanwhile. Two clusters and all programs share this machine's
 * processors; ROWS (call records) and ROUNDS make it smaller or longer. Run by itself, WRITERS=0 leaves the
 * writers out.
 *
 * @module
 */

import { lookupUser } from "../../../src/os/user.ts";
import { systemClock } from "../../../src/os/clock.ts";
import { databasePair, LIVE } from "../../support/database_pair.ts";
import type { DatabasePair } from "../../support/database_pair.ts";
import { transferDatabase } from "../../support/database_transfer.ts";
import { findPostgres } from "../../support/postgres.ts";
import { median } from "../../support/series.ts";

const ROWS = Number(Deno.env.get("ROWS") ?? "3000000");
const ROUNDS = Number(Deno.env.get("ROUNDS") ?? "3");
const DEADLINE_MS = 30 * 60_000;
const CLIENTS = 4;
const OFFERED = 100;
const CALM_MS = 20_000;

/** As production would have it: the disk is waited for. */
const SETTINGS = {
  fsync: "on",
  shared_buffers: "256MB",
  max_wal_size: "1GB",
  autovacuum: "off",
};

/** One transaction of a PBX: a call record, a change of a user, a look. */
const WRITER = String.raw`
\set user random(1, 200)
BEGIN;
INSERT INTO cel (eventtype, eventtime, cid_name, cid_num) VALUES ('CHAN_START', now(), 'w', 'w');
UPDATE userfeatures SET enablednd = 1 - enablednd WHERE id = :user;
SELECT exten FROM extensions WHERE id = :user;
COMMIT;
`;

/** Restores as relais does. */
const RESTORE_OPTIONS =
  "-c synchronous_commit=off -c maintenance_work_mem=256MB -c statement_timeout=0";

/** The figures of this section. */
export async function fullCopy(
  say: (text: string) => void = console.log,
  options: { readonly writers: boolean } = { writers: true },
): Promise<Record<string, unknown>> {
  say(`two clusters, ${ROWS} call records`);
  await using pair = await databasePair({ rows: ROWS, settings: SETTINGS });
  const databaseBytes = Number(
    await pair.master.cluster.psql(LIVE, "SELECT pg_database_size(current_database())"),
  );
  const tableBytes = Number(
    await pair.master.cluster.psql(
      LIVE,
      `SELECT sum(pg_table_size(oid)) FROM pg_class WHERE relkind IN ('r', 'm')
         AND relnamespace::regnamespace::text IN ('public', 'provd')`,
    ),
  );
  say(`database of ${mb(databaseBytes)}, ${mb(tableBytes)} without indexes`);
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const series = { bareZstd: [] as number[], bare: [] as number[], fast: [], paced: [] } as Record<
    "bareZstd" | "bare" | "fast" | "paced",
    number[]
  >;
  let last;
  for (let round = 1; round <= ROUNDS; round++) {
    series.bareZstd.push(await barePipe(pair, { zstd: true }));
    series.fast.push(
      (last = await transferDatabase(pair, { signal, paceBytesPerSecond: null })).liveMs,
    );
    series.bare.push(await barePipe(pair, { zstd: false }));
    series.paced.push((await transferDatabase(pair, { signal })).liveMs);
    const { fast, paced, bare, bareZstd } = series;
    say(
      `round ${round}: pipe with zstd ${s(bareZstd.at(-1))}, copy ${s(fast.at(-1))}; ` +
        `pipe without ${s(bare.at(-1))}, copy at the default pace ${s(paced.at(-1))}`,
    );
    say(`  phases ${JSON.stringify(last.phases)}, swap ${last.detail.swap_ms} ms`);
  }
  const writers = [];
  for (const offered of options.writers ? [OFFERED, null] : []) {
    const calm = await withWriters(pair, offered, () => systemClock.sleep(CALM_MS));
    const busy = await withWriters(pair, offered, () => transferDatabase(pair, { signal }));
    const fast = await withWriters(
      pair,
      offered,
      () => transferDatabase(pair, { signal, paceBytesPerSecond: null }),
    );
    const entry = {
      offered_per_second: offered ?? "as fast as it goes",
      without_copy_per_second: round1(calm.perSecond),
      with_copy_per_second: round1(busy.perSecond),
      ratio: round2(busy.perSecond / calm.perSecond),
      ratio_unpaced: round2(fast.perSecond / calm.perSecond),
      copy_s: round1(busy.ms / 1000),
    };
    writers.push(entry);
    say(`writers ${JSON.stringify(entry)}`);
  }
  const of = (list: readonly number[]): number => median(list) ?? NaN;
  return {
    full_copy_ratio: round2(of(series.fast) / of(series.bareZstd)),
    writer_throughput_ratio: writers[0]?.ratio ?? null,
    full_copy: {
      how: `${ROWS} call records, ${mb(databaseBytes)} (${mb(tableBytes)} without indexes); ` +
        `median of ${ROUNDS} rounds, side by side: everything from the start of both processes until the new database is live (its drop of the old one follows, drop_ms): the ` +
        'swapped, analyzed and proved database, pace = "0", against pg_dump -Fc -Z0 | zstd -1 | zstd -d | ' +
        "pg_restore into an empty database, without statistics, proof and swap; fsync on; " +
        `writers: pgbench, ${CLIENTS} clients, ${OFFERED} transactions per second offered, ` +
        "committed per second during a copy at the default pace over that of " +
        `${CALM_MS / 1000} s without one; both hosts share this machine`,
      rounds: ROUNDS,
      copy_s: series.fast.map((ms) => round1(ms / 1000)),
      pipe_zstd_s: series.bareZstd.map((ms) => round1(ms / 1000)),
      pipe_plain_s: series.bare.map((ms) => round1(ms / 1000)),
      copy_default_pace_s: series.paced.map((ms) => round1(ms / 1000)),
      ratio_to_pipe_without_zstd: round2(of(series.fast) / of(series.bare)),
      ratio_at_default_pace: round2(of(series.paced) / of(series.bareZstd)),
      phases_ms: last?.phases ?? {},
      swap_ms: last?.detail.swap_ms ?? null,
      drop_ms: last === undefined ? null : last.phases.done! - last.phases.drop!,
      wire_bytes: last?.size ?? null,
      writers,
    },
  };
}

/** Milliseconds of the pipe that everybody would type. */
async function barePipe(pair: DatabasePair, options: { readonly zstd: boolean }): Promise<number> {
  const bin = await findPostgres();
  const target = "bare_copy";
  const { master, slave } = pair;
  const at = (host: typeof master): string =>
    `host=${host.cluster.directory} port=${host.cluster.port}`;
  await slave.cluster.psql("postgres", `CREATE DATABASE ${target} TEMPLATE template0`);
  try {
    const from = performance.now();
    const middle = options.zstd ? "zstd -1 -q -c | zstd -d -q -c |" : "";
    const script = `set -o pipefail; '${bin}/pg_dump' -Fc -Z0 --no-tablespaces -d '${at(master)} ` +
      `dbname=${LIVE}' | ${middle} PGOPTIONS='${RESTORE_OPTIONS}' '${bin}/pg_restore' ` +
      `--exit-on-error --no-tablespaces -d '${at(slave)} dbname=${target}'`;
    const { success, stderr } = await new Deno.Command("bash", {
      args: ["-c", script],
      ...await lookupUser(master.cluster.osUser),
      cwd: "/",
      stdin: "null",
      stdout: "null",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return performance.now() - from;
  } finally {
    await slave.cluster.psql("postgres", `DROP DATABASE IF EXISTS ${target} WITH (FORCE)`);
  }
}

/** Transactions per second that the writers committed while `work` was done. */
async function withWriters(
  pair: DatabasePair,
  offered: number | null,
  work: () => Promise<unknown>,
): Promise<{ readonly perSecond: number; readonly ms: number }> {
  const { cluster } = pair.master;
  const script = `${pair.directory}/writer.sql`;
  await Deno.writeTextFile(script, WRITER);
  const rate = offered === null ? [] : ["-R", String(offered)];
  const pgbench = new Deno.Command(`${await findPostgres()}/pgbench`, {
    args: [
      ...["-n", "-M", "prepared", "-c", String(CLIENTS), "-j", "2", ...rate],
      ...["-T", "3600", "-f", script, LIVE],
    ],
    ...await lookupUser(cluster.osUser),
    cwd: "/",
    env: { PGHOST: cluster.directory, PGPORT: String(cluster.port) },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await systemClock.sleep(2000);
    const before = await committed(pair);
    const from = performance.now();
    await work();
    const ms = performance.now() - from;
    return { perSecond: (await committed(pair) - before) / ms * 1000, ms };
  } finally {
    pgbench.kill("SIGKILL");
    await pgbench.status;
  }
}

/** Call records that were ever given a number: one in each transaction of a writer. */
async function committed(pair: DatabasePair): Promise<number> {
  return Number(await pair.master.cluster.psql(LIVE, "SELECT last_value FROM cel_id_seq"));
}

function mb(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function s(ms: number | undefined): string {
  return `${((ms ?? NaN) / 1000).toFixed(1)} s`;
}

function round1(value: number): number {
  return Math.round(value * 10) / 10;
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}

if (import.meta.main) {
  const writers = Deno.env.get("WRITERS") !== "0";
  console.log(JSON.stringify(await fullCopy(console.log, { writers }), null, 2));
}
