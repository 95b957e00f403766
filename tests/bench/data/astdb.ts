/**
 * How soon a change of the astdb can be read in the peer's spool, and what the copying costs the writer.
 * ASTDB_MINUTES says how long the writers run (10), ASTDB_CHANGES how many changes are timed (60).
 *
 * @module
 */

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../../src/os/clock.ts";
import { readAstdb } from "../../../src/replication/astdb_read.ts";
import { Pair, putRows, readRow } from "../../../src/replication/peer_fixture.ts";
import { findAsterisk, RealAsterisk } from "../../support/real_asterisk.ts";

const MINUTES = Number(Deno.env.get("ASTDB_MINUTES") ?? "10");
const CHANGES = Number(Deno.env.get("ASTDB_CHANGES") ?? "60");
const WRITER =
  new URL("../../../src/replication/astdb_writer_fixture.ts", import.meta.url).pathname;

/** The figures of this section. */
export async function astdb(
  say: (text: string) => void = console.log,
): Promise<Record<string, unknown>> {
  const latency = await latencies();
  say(`a change is in the peer's spool after ${JSON.stringify(latency)} ms`);
  const [pattern, real] = await Promise.all([writerOfPattern(say), realAsterisk(say)]);
  say(`writer of Asterisk's pattern: ${JSON.stringify(pattern)}`);
  say(`real Asterisk: ${JSON.stringify(real)}`);
  return {
    astdb_latency_ms: latency,
    astdb_writer_commits_lost: pattern.lost + (real?.lost ?? 0),
    astdb_writer: { pattern, real },
    how:
      `Latency: ${CHANGES} commits at random moments, each timed from the end of the commit until a ` +
      `generation of the peer's spool holds its value; real ssh on loopback, the schedule of the ` +
      `daemon. Lost commits: ${MINUTES} min of a writer of Asterisk's pattern (no time-out, ROLLBACK on ` +
      `failure, 10 commits a second) while copies are taken back to back, and ` +
      (real === null
        ? "no real Asterisk was found on this machine (ASTERISK_ROOT)."
        : "at the same time a real Asterisk, every acknowledged key looked for afterwards."),
  };
}

async function latencies(): Promise<Record<string, number>> {
  const pair = await Pair.make("master");
  try {
    const path = pair.at("shared/astdb.sqlite3");
    const filler = [...Array(400).keys()].map((at) => [`/SIP/Registry/${at}`, "x".repeat(100)]);
    putRows(path, Object.fromEntries(filler));
    const config = pair.config({ files: null });
    await pair.writeConfig({ files: null });
    const replicator = pair.replicator({ config });
    replicator.start();
    const spool = pair.at("peer/state/spool/astdb");
    const database = new DatabaseSync(path, { timeout: 0 });
    const put = database.prepare("INSERT OR REPLACE INTO astdb VALUES('/bench/number', ?)");
    const taken: number[] = [];
    for (let number = 1; number <= CHANGES; number++) {
      await systemClock.sleep(1500 + Math.random() * 2000);
      put.run(String(number));
      const beganMs = performance.now();
      while (!newestIs(spool, String(number))) await systemClock.sleep(10);
      taken.push(performance.now() - beganMs);
    }
    database.close();
    await replicator.stop();
    taken.sort((a, b) => a - b);
    const at = (share: number): number =>
      Math.round(taken[Math.min(taken.length - 1, Math.floor(taken.length * share))]!);
    return { median: at(0.5), p95: at(0.95), max: at(1) };
  } finally {
    await pair.end();
  }
}

function newestIs(spool: string, value: string): boolean {
  try {
    for (const { name } of Deno.readDirSync(spool)) {
      if (/\.(json|part|tmp)$/.test(name)) continue;
      if (readRow(join(spool, name), "/bench/number") === value) return true;
    }
  } catch {
    // Not there yet, or removed while it was read.
  }
  return false;
}

/** Copies `path` back to back until `over`. */
async function copyUntil(
  path: string,
  dir: string,
  over: () => boolean,
): Promise<{ readonly copies: number; readonly failed: number }> {
  let [copies, failed] = [0, 0];
  while (!over()) {
    const workDir = join(dir, "work");
    const result = await readAstdb({ path, workDir, clock: systemClock, atRest: false });
    if (result.ok) copies += 1;
    else failed += 1;
    await systemClock.sleep(1);
  }
  return { copies, failed };
}

async function writerOfPattern(say: (text: string) => void): Promise<
  { readonly commits: number; readonly lost: number; readonly copies: number }
> {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "astdb.sqlite3");
    const writer = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", WRITER, path, "100"],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    while (!(await Deno.stat(path).then(({ size }) => size > 4096, () => false))) {
      await systemClock.sleep(50);
    }
    const untilMs = performance.now() + MINUTES * 60_000;
    say(`a writer of Asterisk's pattern runs for ${MINUTES} min`);
    const { copies } = await copyUntil(path, dir, () => performance.now() >= untilMs);
    await writer.stdin.close();
    const said = await new Response(writer.stdout).text();
    const { commits, lost } = JSON.parse(said.trim().split("\n").at(-1)!);
    return { commits, lost, copies };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function realAsterisk(say: (text: string) => void): Promise<
  { readonly keys: number; readonly lost: number; readonly copies: number } | null
> {
  const root = await findAsterisk();
  if (root === null) return null;
  const dir = await Deno.makeTempDir();
  const asterisk = await RealAsterisk.start(dir, root);
  try {
    say(`a real Asterisk runs for ${MINUTES} min`);
    const untilMs = performance.now() + MINUTES * 60_000;
    const over = (): boolean => performance.now() >= untilMs;
    const copying = copyUntil(asterisk.astdb, dir, over);
    const keys: string[] = [];
    for (let number = 0; !over(); number++) {
      if (await asterisk.put("bench", `k${number}`, "v")) keys.push(`/bench/k${number}`);
      await systemClock.sleep(200);
    }
    const { copies } = await copying;
    await asterisk.stop();
    const lost = keys.filter((key) => readRow(asterisk.astdb, key) === null).length;
    return { keys: keys.length, lost, copies };
  } finally {
    await asterisk.stop().catch(() => {}); // It has ended.
    await Deno.remove(dir, { recursive: true });
  }
}

if (import.meta.main) console.log(JSON.stringify(await astdb(), null, 2));
