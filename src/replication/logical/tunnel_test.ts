import assert from "node:assert/strict";
import type { DatabaseConfig } from "../../config/types.ts";
import { databaseConfig } from "../../../tests/support/database_config.ts";
import { findPostgres, TestCluster } from "../../../tests/support/postgres.ts";
import { Pair, waitFor } from "../peer_fixture.ts";
import { parsePeerFacts, peerWords, whyPeerRefused } from "./peer_facts.ts";
import { startupError } from "./startup_error.ts";
import { DatabaseTunnel, MAX_TUNNELS, TUNNEL_PORT, tunnelConninfo } from "./tunnel.ts";

const FACTS = { epoch: 3, origin: "slave", fingerprint: "f00d" } as const;
/** System user and role of the test; that of the package is `relais`. */
const ROLE = "nobody";

Deno.test("the words of a tunnel are read back, and nothing else is", () => {
  assert.deepEqual(parsePeerFacts(peerWords(FACTS).split(" ")), FACTS);
  for (const words of ["", "3 slave", "-1 slave f", "3 other f", "3 slave f x", "3 slave ../x"]) {
    assert.equal(parsePeerFacts(words.split(" ")), null, words);
  }
});

Deno.test("the tunnel is refused unless stream mode, role, configuration and epoch fit and this host serves", () => {
  const database = { mode: "stream" } as DatabaseConfig;
  const daemon = { state: "active", epoch: 3, serving: true };
  const own = { role: "master", fingerprint: "f00d", database, daemon } as const;
  assert.equal(whyPeerRefused(FACTS, own), null);
  assert.equal(whyPeerRefused({ ...FACTS, epoch: 1 }, own), null);
  const refusals: [
    Parameters<typeof whyPeerRefused>[0],
    Parameters<typeof whyPeerRefused>[1],
    RegExp,
  ][] = [
    [FACTS, { ...own, database: { mode: "copy" } as DatabaseConfig }, /mode = "stream"/],
    [FACTS, { ...own, database: null }, /mode = "stream"/],
    [{ ...FACTS, origin: "master" }, own, /so is this host/],
    [{ ...FACTS, fingerprint: "beef" }, own, /configurations of the two hosts differ/],
    [{ ...FACTS, epoch: 4 }, own, /newer than epoch 3/],
    [FACTS, { ...own, daemon: null }, /daemon here does not answer/],
    [
      FACTS,
      { ...own, daemon: { ...daemon, state: "standby", serving: false } },
      /only the one that serves/,
    ],
  ];
  for (const [peer, self, why] of refusals) assert.match(whyPeerRefused(peer, self) ?? "", why);
});

Deno.test("a refusal is an ErrorResponse of PostgreSQL's protocol", () => {
  const message = startupError("no\nway");
  assert.equal(String.fromCharCode(message[0]!), "E");
  assert.equal(new DataView(message.buffer).getUint32(1), message.length - 1);
  assert.match(new TextDecoder().decode(message), /SFATAL\0VFATAL\0C57P03\0Mrelais: no way\0\0$/);
});

Deno.test({
  name:
    "rows travel through the tunnel by PostgreSQL's own replication, as a role that is no superuser",
  ignore: Deno.uid() !== 0 || await findPostgres() === null,
  fn: async (t): Promise<void> => {
    await using master = await TestCluster.start({ settings: { wal_level: "logical" } });
    await using slave = await TestCluster.start();
    const pair = await Pair.make("slave");
    await Deno.chmod(pair.directory, 0o755);
    const troubles: string[] = [];
    const transport = pair.transport();
    let self: ReturnType<ConstructorParameters<typeof DatabaseTunnel>[0]["self"]> = {
      facts: { ...FACTS, epoch: 1 },
    };
    const tunnel = new DatabaseTunnel({
      runDir: pair.at("run"),
      osUser: slave.osUser,
      transport,
      self: () => self,
      onTrouble: (text) => troubles.push(text),
    });
    try {
      await pair.writeConfig({ database: databaseConfig(master, "pbx", { mode: "stream" }) });
      await pair.setGate({ daemon: pair.peerDaemon("active"), refusal: null });
      await tunnel.start();
      await master.psql("postgres", `CREATE ROLE ${ROLE} LOGIN REPLICATION; CREATE DATABASE pbx`);
      await slave.psql("postgres", "CREATE DATABASE pbx");
      const table = "CREATE TABLE users (id int PRIMARY KEY, name text)";
      await master.psql(
        "pbx",
        `${table}; CREATE PUBLICATION p FOR TABLE users;
        SELECT pg_create_logical_replication_slot('s', 'pgoutput')`,
      );
      await slave.psql("pbx", table);
      const conninfo = tunnelConninfo({
        directory: tunnel.directory,
        database: "pbx",
        appName: "test",
        user: ROLE,
      });
      const subscribe = `CREATE SUBSCRIPTION s CONNECTION '${conninfo.replaceAll("'", "''")}'
        PUBLICATION p WITH (copy_data = false, create_slot = false, slot_name = 's')`;
      const rows = async (): Promise<string> =>
        await slave.psql("pbx", "SELECT string_agg(name, ',' ORDER BY id) FROM users");

      await t.step("what the peer refuses stands in the answer to PostgreSQL", async () => {
        await pair.setGate({ daemon: pair.peerDaemon("standby"), refusal: null });
        await assert.rejects(slave.psql("pbx", subscribe), /this host is standby: only the one/);
        await pair.setGate({ daemon: pair.peerDaemon("active"), refusal: null });
        self = { refused: "this node serves" };
        await assert.rejects(slave.psql("pbx", subscribe), /as this node serves/);
        self = { facts: { ...FACTS, epoch: 1 } };
      });

      await t.step("rows arrive", async () => {
        await slave.psql("pbx", subscribe);
        await master.psql("pbx", "INSERT INTO users VALUES (1, 'Ann')");
        await waitFor(async () => await rows() === "Ann", "the row arrives");
        const who = await master.psql(
          "pbx",
          "SELECT usename || rolsuper FROM pg_stat_replication JOIN pg_roles ON rolname = usename",
        );
        assert.equal(who, `${ROLE}false`);
      });

      await t.step("the stream goes on by itself after the link broke", async () => {
        await transport.close();
        await master.psql("pbx", "INSERT INTO users VALUES (2, 'Bea')");
        await waitFor(async () => await rows() === "Ann,Bea", "the row arrives after the break");
      });

      await t.step("nobody but the system user of the database may dial", () => {
        const mode = (path: string): number => (Deno.statSync(path).mode ?? 0) & 0o777;
        assert.equal(mode(tunnel.directory), 0o750);
        assert.equal(mode(`${tunnel.directory}/.s.PGSQL.${TUNNEL_PORT}`), 0o600);
      });

      await t.step("the number of connections is bounded", async () => {
        const path = `${tunnel.directory}/.s.PGSQL.${TUNNEL_PORT}`;
        const open: Deno.UnixConn[] = [];
        for (let count = 0; count < MAX_TUNNELS + 2; count++) {
          open.push(await Deno.connect({ transport: "unix", path }));
        }
        // The others wait for a first message of ours.
        const heads = await Promise.any(open.map(async (connection) => {
          const buffer = new Uint8Array(600);
          const read = await connection.read(buffer) ?? 0;
          return new TextDecoder().decode(buffer.subarray(0, read));
        }));
        for (const connection of open) connection.close();
        assert.match(heads, /6 connections are open already/);
        await waitFor(() => tunnel.open <= 1, "they are closed again");
      });

      await t.step("a host that no longer serves cuts the stream", async () => {
        await pair.setGate({ daemon: pair.peerDaemon("standby"), refusal: null });
        await waitFor(
          async () => await master.psql("pbx", "SELECT count(*) FROM pg_stat_replication") === "0",
          "the walsender ends",
        );
      });
      await slave.psql(
        "pbx",
        `ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE);
        DROP SUBSCRIPTION s`,
      );
    } finally {
      await tunnel.stop();
      await transport.close();
      await pair.end();
    }
  },
});
