import assert from "node:assert/strict";
import type { DatabaseRights, HostFacts } from "../replication/host_facts.ts";
import {
  compareAsterisk,
  compareClocks,
  compareConfig,
  compareDatabase,
  compareKeys,
  compareMtus,
  compareSystemNames,
  judgeDatabaseRoom,
  judgeDisks,
  judgeReturn,
  judgeRights,
} from "./compare.ts";
import type { Said } from "./finding.ts";

const RIGHTS: DatabaseRights = {
  serverVersionNum: 150018,
  role: "postgres",
  superuser: true,
  createDatabases: true,
  liveExists: true,
  databaseBytes: 1e9,
  freeBytes: 5e9,
  leftovers: [],
};

function facts(change: Partial<HostFacts> = {}): HostFacts {
  return {
    version: "0.1.0",
    role: "master",
    fingerprint: "a".repeat(64),
    timeZone: { value: "Europe/Paris" },
    clockSynchronised: { value: true },
    systemName: { value: null },
    asterisk: { value: "16.28.0" },
    database: { value: RIGHTS },
    disks: { value: [] },
    links: { value: [{ network: "voip", interface: "eth0", mtu: 1500 }] },
    missingTools: { value: [] },
    keyProofs: { value: ["1".repeat(64)] },
    daemon: null,
    back: null,
    ...change,
  };
}

const slave = (change: Partial<HostFacts> = {}): HostFacts => facts({ role: "slave", ...change });

function severities(said: Said | readonly Said[]): string[] {
  return [said].flat().map(({ severity }) => severity);
}

Deno.test("two equal hosts have nothing to mend", () => {
  const checks = [compareAsterisk, compareDatabase, compareConfig, compareKeys, compareMtus];
  for (const check of [...checks, compareSystemNames]) {
    assert.deepEqual(severities(check(facts(), slave())), ["ok"], check.name);
  }
});

Deno.test("compareDatabase() fails a slave that is older than the master, from either side", () => {
  const old = { value: { ...RIGHTS, serverVersionNum: 130010 } };
  assert.deepEqual(severities(compareDatabase(facts(), slave({ database: old }))), ["failure"]);
  assert.deepEqual(severities(compareDatabase(slave({ database: old }), facts())), ["failure"]);
  assert.deepEqual(severities(compareDatabase(facts({ database: old }), slave())), ["warning"]);
});

Deno.test("compareClocks() warns from 2 s and fails from 30 s, ahead or behind", () => {
  const of = (...offsets: number[]): string[] => offsets.map((ms) => compareClocks(ms).severity);
  assert.deepEqual(of(0, 1999, -2000, 29_999, -30_000), [
    "ok",
    "ok",
    "warning",
    "warning",
    "failure",
  ]);
  assert.match(compareClocks(-2500).found, /2\.5 s behind/);
});

Deno.test("compareKeys() and compareConfig() fail what keeps the hosts from talking", () => {
  const other = slave({ keyProofs: { value: ["2".repeat(64)] }, fingerprint: "b".repeat(64) });
  assert.deepEqual(severities(compareKeys(facts(), other)), ["failure"]);
  assert.deepEqual(severities(compareConfig(facts(), other)), ["failure"]);
  assert.deepEqual(severities(compareConfig(facts(), facts())), ["failure", "ok"], "two masters");
  const unread = slave({ keyProofs: { error: "mode 644" } });
  const [said] = compareKeys(facts(), unread);
  assert.deepEqual([said?.checked, said?.severity], [false, "warning"]);
});

Deno.test("compareSystemNames() fails different names and ignores hosts without Asterisk", () => {
  const named = slave({ systemName: { value: "b" } });
  assert.deepEqual(severities(compareSystemNames(facts(), named)), ["failure"]);
  const none = { asterisk: { value: null } };
  assert.deepEqual(
    compareSystemNames(facts(none), slave({ ...none, systemName: { value: "b" } })),
    [],
  );
  assert.deepEqual(severities(compareAsterisk(facts(none), slave())), ["failure"]);
});

Deno.test("judgeRights() fails a role that cannot make databases, and an unreachable server", () => {
  const weak = { ...RIGHTS, superuser: false, createDatabases: false, role: "asterisk" };
  const [said] = judgeRights("database.rights", { value: weak });
  assert.equal(said?.severity, "failure");
  assert.match(said?.mend ?? "", /ALTER ROLE "asterisk"/);
  assert.deepEqual(severities(judgeRights("database.peer", { error: "refused" })), ["failure"]);
  assert.deepEqual(judgeRights("database.peer", { value: null }), []);
});

Deno.test("judgeReturn() fails a slave that writes no logical log, and warns without a bound", () => {
  const of = (walLevel: string, slotWalMegabytes: number): string[] =>
    severities(judgeReturn({ value: { ...RIGHTS, walLevel, slotWalMegabytes } }));
  assert.deepEqual(of("replica", 2048), ["failure"]);
  assert.deepEqual(of("logical", -1), ["warning"]);
  assert.deepEqual(of("logical", 2048), ["ok"]);
  assert.deepEqual(judgeReturn({ value: null }), []);
});

Deno.test("room: a second copy of the database must fit, a full state directory fails", () => {
  assert.equal(judgeDatabaseRoom("disk.database", RIGHTS, 1e9).severity, "ok");
  assert.equal(judgeDatabaseRoom("disk.database", RIGHTS, 6e9).severity, "failure");
  const room = (freeBytes: number): string[] =>
    severities(judgeDisks([{ what: "state", path: "/x", freeBytes, totalBytes: 1e11 }], () => {
      return "disk.state";
    }));
  assert.deepEqual([room(1e9), room(5e7), room(1e6)].flat(), ["ok", "warning", "failure"]);
});
