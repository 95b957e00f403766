// What the fuzzer makes, over real wires against the real program: it does not die, does not grow, still serves.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { StatusDocument } from "../../src/health/types.ts";
import type { TestHost } from "../support/host.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS } from "./situations.ts";
import { type Scene, untilNeighbour, useStage } from "./stage.ts";

const stage = useStage({ lab: { stranger: true } });
const SEED = Number(Deno.env.get("FC_SEED") ?? 20261130);
const HTTP_PORT = 8460;
const ROUNDS = 3;
/** What the heap of a busy program goes up and down by; a kept kilobyte per message would be ten times that. */
const NOISE_KB = 48 * 1024;
const ROUND_DEADLINE_MS = 180_000;

/** Resident memory of a daemon in kB. */
async function residentKb(host: RelaisHost): Promise<number> {
  const { pid } = (await statusOf(host)).node;
  const { stdout } = await host.host.exec(["cat", `/proc/${pid}/status`]);
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(stdout)?.[1] ?? "NaN");
}

async function fuzz(from: TestHost, args: readonly (string | number)[]): Promise<void> {
  const main = fileURLToPath(new URL("../support/hostile_fuzz_main.ts", import.meta.url));
  const argv = [Deno.execPath(), "run", "--quiet", "--no-check", "--allow-all", main];
  const { stdout } = await from.exec([...argv, ...args.map(String)], {
    deadlineMs: ROUND_DEADLINE_MS,
  });
  assert.equal(stdout.trim(), `${args.at(-1)}`, "all of it was sent");
}

/** What a daemon says, also when it takes its time. */
async function statusOf(host: RelaisHost): Promise<StatusDocument> {
  return await host.waitFor(() => true, { deadlineMs: DEADLINE_MS, what: "a status" });
}

/**
 * Rounds of noise; the daemon of the master stays the same process, as large as after the first round, and
 * serves. (Whether noise moves the service is judged by faults_vip_test.ts.)
 */
async function staysFlat(
  { cluster, master, client, lab }: Scene,
  round: (seed: number) => Promise<void>,
): Promise<void> {
  const { instanceId } = (await statusOf(master)).node;
  const sizes: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    await round(SEED + i);
    sizes.push(await residentKb(master));
  }
  const [first = 0] = sizes;
  const last = sizes.at(-1)!;
  assert.ok(last - first < NOISE_KB, `resident after each round: ${sizes.join(", ")} kB`);
  await cluster.untilNormal(DEADLINE_MS);
  assert.equal((await statusOf(master)).node.instanceId, instanceId, "the same daemon");
  await client.untilUp("sip", { deadlineMs: DEADLINE_MS });
  await untilNeighbour(lab, "master");
}

stage.test(`thousands of malformed requests to the HTTP port (seed ${SEED})`, async (scene) => {
  const { lab, master } = scene;
  const before = (await statusOf(master)).counters.httpGarbage;
  await staysFlat(
    scene,
    (seed) => fuzz(lab.stranger, ["http", lab.address("master"), HTTP_PORT, seed, 1200]),
  );
  const counted = (await statusOf(master)).counters.httpGarbage - before;
  assert.ok(counted > 300, `${counted} were counted as garbage`);
});

stage.test(`malformed ICMP messages (seed ${SEED})`, async (scene) => {
  const { lab, master } = scene;
  const before = (await statusOf(master)).counters.icmpIgnored;
  await staysFlat(
    scene,
    (seed) => fuzz(lab.stranger, ["icmp", lab.address("master"), seed, 15_000]),
  );
  const counted = (await statusOf(master)).counters.icmpIgnored - before;
  assert.ok(counted > 1000, `${counted} were counted`);
});

stage.test(`malformed ARP frames (seed ${SEED})`, async (scene) => {
  const { lab, master } = scene;
  const before = (await statusOf(master)).counters.arpGarbage;
  await staysFlat(scene, (seed) => fuzz(lab.stranger, ["arp", "eth0", seed, 15_000]));
  const counted = (await statusOf(master)).counters.arpGarbage - before;
  assert.ok(counted > 1000, `${counted} were counted`);
});
