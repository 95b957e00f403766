import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { systemClock } from "../os/clock.ts";
import { Pair, putRows, waitFor } from "./peer_fixture.ts";
import type { Replicator } from "./replicator.ts";
import type { ReplicatorOptions } from "./replicator_types.ts";

const signal = new AbortController().signal;

/** A sender with this bandwidth. */
function slow(pair: Pair, bandwidthBytesPerSecond: number): Replicator {
  const config = pair.config();
  const { replication } = config;
  const transport = { ...replication.transport, bandwidthBytesPerSecond };
  const options: Partial<ReplicatorOptions> = {
    config: { ...config, replication: { ...replication, transport } },
  };
  return pair.replicator(options);
}

function digest(path: string): string {
  return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
}

/** The rsync processes of this pair on the sender's side. */
function rsyncs(pair: Pair): number[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^[0-9]+$/.test(name)) return [];
    try {
      const words = Deno.readTextFileSync(`/proc/${name}/cmdline`).split("\0");
      const isOurs = words[0] === "rsync" && words.at(-2)?.includes(pair.at("shared/sounds"));
      return isOurs || /\/rsync$/.test(words[0] ?? "") && words.join(" ").includes(pair.at("key"))
        ? [Number(name)]
        : [];
    } catch {
      return []; // It has just ended.
    }
  });
}

Deno.test("rsync keeps to the bandwidth; a file that was cut is kept apart, and the next copy goes on from it", async () => {
  const pair = await Pair.make("master");
  const replicator = slow(pair, 4_000_000);
  try {
    const [here, there] = [pair.at("shared/sounds/big"), pair.at("peer/shared/sounds/big")];
    for (const path of ["shared/sounds", "shared/etc", "peer/shared/sounds"]) {
      await Deno.mkdir(pair.at(path));
    }
    await Deno.writeTextFile(there, "old");
    await Deno.writeFile(here, randomBytes(24_000_000));
    const copying = replicator.sync("files", { signal });
    copying.catch(() => {});
    const size = (): number =>
      [...Deno.readDirSync(pair.at("peer/shared/sounds"))].filter(({ name }) =>
        name.startsWith(".big")
      )
        .reduce(
          (sum, { name }) => sum + Deno.statSync(`${pair.at("peer/shared/sounds")}/${name}`).size,
          0,
        );
    await waitFor(() => {
      try {
        return size() > 4_000_000;
      } catch {
        return false; // It was renamed in between.
      }
    }, "the file is on its way");
    assert.equal(Deno.readTextFileSync(there), "old", "never half of a file");
    const pids = rsyncs(pair);
    assert.ok(pids.length > 0, "it was over too soon: the bandwidth is not kept");
    for (const pid of pids) Deno.kill(pid, "SIGKILL");
    await assert.rejects(copying);
    const part = pair.at("peer/shared/sounds/.relais-partial/big");
    await waitFor(() => {
      try {
        return Deno.statSync(part).size > 1_000_000;
      } catch {
        return false;
      }
    }, "the part is kept");
    assert.equal(Deno.readTextFileSync(there), "old");
    const state = await replicator.sync("files", { signal });
    assert.equal(state.size, 24_000_000, "the part is not in the comparison");
    assert.equal(digest(there), digest(here));
    assert.deepEqual([...Deno.readDirSync(pair.at("peer/shared/sounds"))].map(({ name }) => name), [
      "big",
    ]);
  } finally {
    await replicator.stop();
    await pair.end();
  }
});

Deno.test("a set stream keeps to the bandwidth when the schedule copies, and not at a move", async () => {
  const pair = await Pair.make("master");
  const replicator = slow(pair, 100_000);
  try {
    putRows(pair.at("shared/astdb.sqlite3"), { "/a": randomBytes(200_000).toString("hex") });
    const began = systemClock.nowMs();
    const { size } = await replicator.sync("astdb", { signal });
    const tookMs = systemClock.nowMs() - began;
    assert.ok(tookMs >= size! / 100_000 * 1000 - 200, `${size} bytes took ${tookMs} ms only`);
    // A move sends more; at that bandwidth it would take a minute.
    putRows(pair.at("shared/astdb.sqlite3"), { "/b": randomBytes(3_000_000).toString("hex") });
    const moved = await replicator.astdb.sendAtRest({
      signal: AbortSignal.timeout(45_000),
      epoch: 1,
    });
    assert.ok(moved!.size! > 6_000_000);
  } finally {
    await replicator.stop();
    await pair.end();
  }
});
