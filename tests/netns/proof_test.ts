// The proof of the standby: relais verify and relais drill with the real program between two hosts.
import assert from "node:assert/strict";
import { sql } from "../support/host_postgres.ts";
import { FILE_PATHS } from "../support/relais_config.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { DEADLINE_MS, heldVips, servicesRun, startedCluster, statusByCli } from "./situations.ts";
import { STEADY } from "./stage.ts";

interface Proof {
  readonly result: string;
  readonly text: string;
  readonly findings: readonly { readonly set: string; readonly result: string }[];
}

/** Runs `relais verify --json`. */
async function verify(
  host: RelaisHost,
  ...sets: string[]
): Promise<{ readonly code: number; readonly proof: Proof }> {
  const { code, stdout, stderr } = await host.relais(["verify", "--json", ...sets], 120_000);
  assert.ok([0, 3, 4].includes(code), `${code}: ${stderr}`);
  return { code, proof: JSON.parse(stdout) };
}

interface Drill {
  readonly goal: string;
  readonly works: boolean;
  readonly steps: readonly { readonly name: string; readonly verdict: string }[];
  readonly loss: readonly string[];
}

async function drill(host: RelaisHost): Promise<{ readonly code: number; readonly drill: Drill }> {
  const { code, stdout, stderr } = await host.relais(["drill", "--dry-run", "--json"], 120_000);
  assert.ok([0, 1].includes(code), `${code}: ${stderr}`);
  return { code, drill: JSON.parse(stdout) };
}

Deno.test("the standby is proved by relais verify and relais drill, and a failed copy is told everywhere", async (t) => {
  await using cluster = await startedCluster({
    // Rows that came later than the whole copy are not those of its snapshot: none come here.
    config: { ...STEADY, data: true, database: true, databaseMore: ["delta = false"] },
  });
  const { master, slave } = cluster;
  const [, sounds] = FILE_PATHS;
  const sound = `${sounds}/accueil été.wav`;
  await t.step(
    "after a copy everything is equal, and the status says so on the slave",
    async () => {
      await master.host.writeFile(sound, "bonjour");
      await master.host.exec(["touch", "-d", "2020-01-01", sound]);
      const copied = await master.relais(["sync"], 120_000);
      assert.equal(copied.code, 0, copied.stderr + copied.stdout);
      const { code, proof } = await verify(slave);
      assert.equal(code, 0, JSON.stringify(proof));
      for (const set of ["astdb", "database", "files"]) {
        const results = proof.findings.filter((each) => each.set === set).map((each) =>
          each.result
        );
        assert.ok(results.includes("equal"), JSON.stringify(proof));
      }
      const { verification, dataSets } = await statusByCli(slave);
      assert.equal(verification?.result, "equal");
      assert.equal(verification?.overdue, false);
      assert.ok(dataSets.every(({ maxAgeMs, tooOld }) => maxAgeMs !== null && !tooOld));
      const text = await slave.relais(["status"]);
      assert.match(text.stdout, /^copies verified +equal, /m);
    },
  );
  await t.step("a drill changes nothing, goes through every step and names the loss", async () => {
    const before = await statusByCli(slave);
    const { code, drill: take } = await drill(slave);
    assert.equal(code, 0, JSON.stringify(take, null, 1));
    assert.equal(take.goal, "take");
    assert.ok(take.steps.length > 10);
    assert.match(take.loss.join("\n"), /^database: at most what changed in the last /m);
    const { code: there, drill: handOver } = await drill(master);
    assert.equal(handOver.goal, "hand-over");
    assert.equal(there, 0, JSON.stringify(handOver, null, 1));
    const after = await statusByCli(slave);
    // Wall time made of two clocks that are read one after the other: it may differ by a millisecond.
    const moved = Date.parse(after.node.since) - Date.parse(before.node.since);
    assert.ok(Math.abs(moved) < 1000, `${moved} ms`);
    assert.equal(after.node.rule, before.node.rule);
    assert.equal(after.node.epoch, before.node.epoch);
    assert.deepEqual(await heldVips(cluster, slave), []);
    assert.equal(await servicesRun(slave), false);
    const without = await slave.relais(["drill"]);
    assert.equal(without.code, 64, "a drill is only ever a dry run");
  });
  await t.step(
    "one row and one byte that are not the master's show, in exit status and alert",
    async () => {
      await sql(slave.host, {
        database: "asterisk",
        text:
          "UPDATE userfeatures SET firstname = 'Eve' WHERE id = (SELECT min(id) FROM userfeatures)",
      });
      await slave.host.writeFile(sound, "bonsoir");
      await slave.host.exec(["touch", "-d", "2020-01-01", sound]);
      const { code, proof } = await verify(slave);
      assert.equal(code, 3, JSON.stringify(proof));
      assert.match(
        proof.text,
        /database: the rows of public\.userfeatures are not those of the copy/,
      );
      assert.match(proof.text, /files: .*accueil été\.wav has other contents/);
      const { alerts } = await statusByCli(slave);
      assert.ok(alerts.some((text) => /not what was copied/.test(text)), alerts.join("\n"));
      assert.equal((await verify(slave, "astdb")).code, 0, "the astdb is not concerned");
      assert.equal((await statusByCli(slave)).verification?.result, "different");
    },
  );
  await t.step("the next copy mends the database, and the proof says so", async () => {
    assert.equal((await master.relais(["sync", "database"], 120_000)).code, 0);
    assert.equal((await verify(slave, "database")).code, 0);
  });
  await t.step("a copy that fails is an exit status, an event, a count, an alert", async () => {
    await master.host.exec(["mv", sounds, `${sounds}.away`]);
    const { code } = await master.relais(["sync", "files"]);
    assert.equal(code, 1);
    const { dataSets, alerts } = await master.waitFor(
      ({ history }) => history.some(({ rule }) => rule === "COPY-FAILED"),
      { deadlineMs: DEADLINE_MS, what: "the failed copy in the history" },
    );
    const sent = dataSets.find(({ set, direction }) => set === "files" && direction === "sent");
    // The folder that went away may have been noticed before the operator asked: then it failed twice.
    assert.ok((sent?.failures ?? 0) >= 1, `${sent?.failures} failures`);
    assert.ok(alerts.some((text) => /copy of the files \(sent\) fails/.test(text)));
    await master.host.exec(["mv", `${sounds}.away`, sounds]);
    assert.equal((await master.relais(["sync", "files"])).code, 0);
    await master.waitFor(({ history }) => history.some(({ rule }) => rule === "COPY-GOOD"), {
      deadlineMs: DEADLINE_MS,
      what: "the end of the failure in the history",
    });
  });
  await t.step(
    "without the master the files could not be checked: another exit status",
    async () => {
      await master.host.crash();
      const { code, proof } = await verify(slave, "files");
      assert.equal(code, 4, JSON.stringify(proof));
    },
  );
});
