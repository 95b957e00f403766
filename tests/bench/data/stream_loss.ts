/**
 * What a sudden death of a busy master loses with `mode = "stream"`: every process of its PostgreSQL and the
 * link are killed at once, the slave takes over, and the commits that a client had in its hand and that are
 * not there are counted. The window is the time between the first missing commit and the last one.
 *
 * Two clusters, two sshds and the real replicators on one machine, fsync on, the link is loopback: a real
 * link adds its one-way delay to the window. kill -9 keeps the kernel's page cache, as every test of this
 * kind on one machine.
 *
 * @module
 */

import { LIVE, streamPair, until } from "../../support/stream_pair.ts";
import { openSession } from "../../../src/replication/database_session.ts";
import { arm, prepareBoth, survey } from "../../../src/replication/logical/setup.ts";

/** Clients that commit one row after the other. */
const CLIENTS = 4;
const BUSY_MS = 4000;
/** Runs of each kind. */
const RUNS = 3;

/** One death. */
interface Death {
  readonly mode: "async" | "sync";
  readonly load: "100/s" | "as fast as it goes";
  readonly committed: number;
  readonly perSecond: number;
  readonly lostRows: number;
  readonly lostMs: number;
  readonly commitMs: number;
}

/** The fields of this section for dist/results/data.json. */
export interface StreamLoss {
  /** Worst window of all asynchronous runs. */
  readonly stream_loss_ms: number;
  readonly stream_loss: {
    readonly how: string;
    readonly async_rows: readonly number[];
    readonly async_ms: readonly number[];
    readonly sync_rows: readonly number[];
    readonly runs: readonly Death[];
  };
}

/** Measures; takes some two minutes. */
export async function streamLoss(say: (text: string) => void = () => {}): Promise<StreamLoss> {
  const runs: Death[] = [];
  for (const mode of ["async", "sync"] as const) {
    for (const load of ["100/s", "as fast as it goes"] as const) {
      for (let run = 0; run < RUNS; run++) {
        const death = await die(mode, load);
        say(JSON.stringify(death));
        runs.push(death);
      }
    }
  }
  const of = (mode: Death["mode"]): Death[] => runs.filter((each) => each.mode === mode);
  return {
    stream_loss_ms: Math.max(...of("async").map(({ lostMs }) => lostMs)),
    stream_loss: {
      how:
        `${RUNS} deaths each of 100 commits/s and of ${CLIENTS} clients at full speed, async and ` +
        "synchronous: kill -9 of every PostgreSQL process of the master and of the link; acknowledged " +
        "rows missing on the slave, and the time from the first of them to the last commit; loopback link",
      async_rows: of("async").map(({ lostRows }) => lostRows),
      async_ms: of("async").map(({ lostMs }) => lostMs),
      sync_rows: of("sync").map(({ lostRows }) => lostRows),
      runs,
    },
  };
}

async function die(mode: Death["mode"], load: Death["load"]): Promise<Death> {
  const synchronous = mode === "sync";
  await using pair = await streamPair({
    rows: 2000,
    database: { synchronous },
    settings: { fsync: "on", shared_buffers: "64MB", max_wal_size: "256MB" },
  });
  const { clusters: { master, slave }, replicators, nodes, events } = pair;
  await master.psql(LIVE, "CREATE TABLE bench_loss (id bigint PRIMARY KEY, text text)");
  await master.psql("postgres", "CREATE ROLE root SUPERUSER LOGIN");
  await prepareBoth(pair.hosts(), await survey(pair.hosts()));
  await arm(pair.hosts());
  replicators.master.start();
  replicators.slave.start();
  await until(`the stream runs: ${events.join("\n")}`, () => {
    const stream = replicators.master.stream;
    return stream?.state === "streaming" && stream.synchronous === synchronous;
  });
  /** When each row was acknowledged. */
  const acknowledged = new Map<number, number>();
  let ended = false;
  let next = 0;
  let waitedMs = 0;
  const client = async (): Promise<void> => {
    const session = await openSession({
      address: { socketDir: master.directory, port: master.port, role: "root", database: LIVE },
      database: LIVE,
      statementTimeoutMs: 60_000,
      appName: "pbx",
    });
    const pauseMs = load === "100/s" ? 1000 / (100 / CLIENTS) : 0;
    try {
      for (let due = performance.now(); !ended; due += pauseMs) {
        const id = next++;
        const began = performance.now();
        await session.query(`INSERT INTO public.bench_loss VALUES (${id}, repeat('x', 200))`);
        const now = performance.now();
        acknowledged.set(id, now);
        waitedMs += now - began;
        if (pauseMs > 0) {
          await new Promise((done) => setTimeout(done, Math.max(0, due + pauseMs - now)));
        }
      }
    } catch {
      // The master is dead.
    } finally {
      await session.end();
    }
  };
  const began = performance.now();
  const clients = Array.from({ length: CLIENTS }, client);
  await new Promise((done) => setTimeout(done, BUSY_MS));
  // The link and the server at once; the clients see what they see.
  const off = pair.toMaster.powerOff();
  await master.kill();
  await off;
  ended = true;
  const tookMs = performance.now() - began;
  await Promise.all(clients);
  Object.assign(nodes.slave, { epoch: 2, serving: true, state: "taking-over" });
  Object.assign(nodes.master, { serving: false, state: "rejoining" });
  await replicators.slave.readyDatabase({ signal: AbortSignal.timeout(30_000) });
  const there = new Set(
    (await slave.psql(LIVE, "SELECT id FROM bench_loss")).split("\n").map(Number),
  );
  const missing = [...acknowledged].filter(([id]) => !there.has(id)).map(([, at]) => at);
  const last = Math.max(...acknowledged.values());
  const round = (value: number): number => Math.round(value * 10) / 10;
  return {
    mode,
    load,
    committed: acknowledged.size,
    perSecond: Math.round(acknowledged.size / tookMs * 1000),
    lostRows: missing.length,
    lostMs: missing.length === 0 ? 0 : round(last - Math.min(...missing)),
    commitMs: round(waitedMs / Math.max(1, acknowledged.size)),
  };
}

if (import.meta.main) {
  console.log(JSON.stringify(await streamLoss((text) => console.error(text)), null, 2));
}
