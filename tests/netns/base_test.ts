// B1 to B4 of the source document, with the real program between two hosts.
import assert from "node:assert/strict";
import { sql } from "../support/host_postgres.ts";
import { PBX_COMMANDS } from "../support/pbx.ts";
import { CONFIG_FILE } from "../support/relais_host.ts";
import { Cluster } from "../support/cluster.ts";
import { DEADLINE_MS, FAST, servicesRun, startedCluster, untilReceived } from "./situations.ts";

Deno.test("B1: the same file on both hosts makes one the master, which serves, and one the slave", async () => {
  await using cluster = await startedCluster({ config: { data: false } });
  const { master, slave } = cluster;
  assert.equal(await master.host.readFile(CONFIG_FILE), await slave.host.readFile(CONFIG_FILE));
  assert.equal((await master.status())?.node.role, "master");
  assert.equal((await slave.status())?.node.role, "slave");
  assert.equal((await slave.status())?.peer.configMatches, true);
});

Deno.test("B2: the slave stops services that something else has started, and keeps them stopped", async () => {
  await using cluster = await Cluster.create({ config: { ...FAST, data: false } });
  const { slave } = cluster;
  await slave.host.exec(PBX_COMMANDS.start);
  assert.equal(await servicesRun(slave), true);
  await cluster.start(DEADLINE_MS);
  assert.equal(await servicesRun(slave), false);
  assert.equal(await servicesRun(cluster.master), true);
});

Deno.test("B3: without any VIP the slave starts its services when the master can't be reached", async () => {
  await using cluster = await startedCluster({ config: { vips: false, data: false } });
  const { master, slave } = cluster;
  assert.equal(await servicesRun(slave), false);
  await master.host.crash();
  await slave.untilState("active", DEADLINE_MS);
  assert.equal(await servicesRun(slave), true);
});

Deno.test("B4: the master copies its database to the slave, whole, with an age that can be seen", async () => {
  await using cluster = await startedCluster({ config: { database: true, data: false } });
  const { master, slave } = cluster;
  const ask = (host: typeof master): Promise<string> =>
    sql(host.host, {
      database: "asterisk",
      text: "SELECT firstname FROM userfeatures WHERE context = 'ctx1' ORDER BY id DESC LIMIT 1; " +
        "SELECT address FROM netiface;",
    });
  await sql(master.host, {
    database: "asterisk",
    text: "INSERT INTO userfeatures (firstname, context) VALUES ('Ada', 'ctx1');",
  });
  const result = await master.relais(["sync", "database"]);
  assert.equal(result.code, 0, result.stdout + result.stderr);
  await untilReceived(slave, "database");
  assert.equal(await ask(master), "Ada\n10.20.0.11");
  assert.equal(await ask(slave), "Ada\n10.20.0.12", "each host keeps its own tables");
  const sent = (await master.status())?.dataSets.find(({ set }) => set === "database");
  assert.ok(sent?.ageMs !== null && sent?.ageMs !== undefined);
  assert.ok(sent.nextRunInMs !== null && sent.nextRunInMs <= 3_600_000, "at least hourly");
});
