/**
 * The acts of the demo: each does something to the hosts, waits for the state that must follow, and shows
 * what the outside client lived through.
 *
 * @module
 */

import type { StatusDocument } from "../../src/health/types.ts";
import type { Cluster } from "../support/cluster.ts";
import { sql } from "../support/host_postgres.ts";
import { callable, register } from "../support/phone.ts";
import { poll } from "../support/poll.ts";
import { FILE_PATHS, RETURN_PATH } from "../support/relais_config.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { untilSpooled } from "../support/spooled_phone.ts";
import { type Outside, showPhase } from "./measure.ts";
import {
  age,
  bold,
  chapter,
  duration,
  happens,
  lost,
  remark,
  seen,
  size,
  table,
} from "./terminal.ts";

const DEADLINE_MS = 60_000;

/** What the acts share. */
export interface Stage {
  readonly cluster: Cluster;
  readonly outside: Outside;
}

type Measured = readonly [what: string, ms: number];

/** Tells the whole story; returns the outages. */
export async function tell(stage: Stage): Promise<Measured[]> {
  await normalService(stage);
  await copies(stage);
  const takeover = await cablePulled(stage);
  await servedBySlave(stage);
  const handBack = await masterBack(stage);
  const planned = await switchover(stage);
  return [["takeover: cable pulled", takeover], ["hand-back", handBack], ...planned];
}

async function normalService({ cluster, outside }: Stage): Promise<void> {
  chapter("Normal service: the master serves, the slave watches");
  const { lab, master } = cluster;
  await serves(outside, lab.mac("master"), "master");
  seen(`${lab.vip(0)} is answered by the master (${lab.mac("master")})`);
  for (const user of ["1001", "1002"]) await phoneRegisters(cluster, user);
  await addUser(master, "Ada");
  await master.host.writeFile(`${FILE_PATHS[0]}/extensions.conf`, "exten => 1001,1,Dial(1001)\n");
  await master.host.writeFile(`${FILE_PATHS[1]}/welcome.wav`, new Uint8Array(200_000));
  seen("user Ada is created in the master's database, a greeting is uploaded");
}

async function copies({ cluster }: Stage): Promise<void> {
  chapter("Copies: what the slave would need is on the slave");
  const { master, slave } = cluster;
  happens("relais sync");
  const start = performance.now();
  const result = await master.relais(["sync"]);
  if (result.code !== 0) throw new Error(`relais sync: ${result.stdout}${result.stderr}`);
  const status = await received(slave, ["astdb", "database", "files"]);
  seen(`all three data sets are on the slave after ${duration(performance.now() - start)}`);
  showSets(status);
  const users = await sql(slave.host, { database: "asterisk", text: countOf("Ada") });
  seen(`the slave's database knows Ada: ${users === "1" ? "yes" : "NO"}`);

  happens("after the copy: phone 1003 registers, user Zoe is created");
  await phoneRegisters(cluster, "1003");
  const registered = performance.now();
  await addUser(master, "Zoe");
  await untilSpooled(slave, "1003", DEADLINE_MS);
  seen(`the astdb with 1003 was on the slave ${duration(performance.now() - registered)} later`);
  remark("the database goes hourly (and on demand): Zoe is not on the slave yet");
}

async function cablePulled({ cluster, outside }: Stage): Promise<number> {
  chapter("The cables of the master are pulled");
  const { lab, master, slave } = cluster;
  await mark(outside, "takeover");
  await master.host.cable("pull");
  happens(bold("no network any more, not a word of goodbye"));
  await serves(outside, lab.mac("slave"), "slave");
  const status = await slave.untilState("active", DEADLINE_MS);
  seen("the slave serves");
  remark(takeoverRule(status));
  const outage = await showPhase("takeover", { cluster, outside });
  remark("balanced preset: 3 s of silence on all links prove a death; make demo-figures: faster");

  happens("what was lost: whatever is younger than the last copy of it");
  const since = status.node.stateForMs;
  for (const set of receivedSets(status)) {
    const old = set.ageMs === null ? null : Math.max(0, set.ageMs - since);
    lost(`${set.set.padEnd(9)} ${age(old)} old`);
  }
  return outage;
}

async function servedBySlave({ cluster }: Stage): Promise<void> {
  chapter("The client is served by the slave");
  const { lab, slave } = cluster;
  for (const user of ["1001", "1002", "1003"]) {
    const { status, server } = await callable(lab.client, { user, server: lab.vip(0) });
    const text = `phone ${user} can be called (${server}), without registering again`;
    if (status === 200) seen(text);
    else lost(`phone ${user} cannot be called: ${status}`);
  }
  for (const name of ["Ada", "Zoe"]) {
    const count = await sql(slave.host, { database: "asterisk", text: countOf(name) });
    if (count === "1") seen(`user ${name} is in the database`);
    else lost(`user ${name} is not: created after the last copy of the database`);
  }
  await phoneRegisters(cluster, "1004");
  await slave.host.writeFile(`${RETURN_PATH}/default/1001/INBOX/msg0000.txt`, "Call me back\n");
  seen("a caller leaves a message for 1001 on the slave");
}

async function masterBack({ cluster, outside }: Stage): Promise<number> {
  chapter("The master is back");
  const { lab, master, slave } = cluster;
  await mark(outside, "hand-back");
  const start = performance.now();
  await master.host.cable("plug");
  happens("cables plugged in: it sees that it is not alone, stays quiet and waits to be ready");
  await master.untilState("standby", DEADLINE_MS);
  seen(
    `ready after ${duration(performance.now() - start)}; handed back once it was stable for 3 s`,
  );
  remark("30 s by default (failback.stable_s); 3 s here so that nobody falls asleep");
  await serves(outside, lab.mac("master"), "master");
  await cluster.untilNormal();
  seen("service is back on the master; the slave sent its astdb first");
  const outage = await showPhase("hand-back", { cluster, outside });
  const { status } = await callable(lab.client, { user: "1004", server: lab.vip(0) });
  if (status === 200) seen("phone 1004, registered on the slave, can be called on the master");
  else lost(`phone 1004 cannot be called: ${status}`);
  const message = `${RETURN_PATH}/default/1001/INBOX/msg0000.txt`;
  if (master.host.exists(message)) seen("the message for 1001 is on the master");
  else lost("the message for 1001 did not come back");
  await received(slave, ["astdb"]);
  return outage;
}

async function switchover({ cluster, outside }: Stage): Promise<Measured[]> {
  chapter("A planned switchover, there and back");
  const { lab, master, slave } = cluster;
  const results: Measured[] = [];
  const moves = [
    { verb: "switchover", by: master, to: slave, mac: lab.mac("slave") },
    { verb: "failback", by: slave, to: master, mac: lab.mac("master") },
  ] as const;
  for (const { verb, by, to, mac } of moves) {
    await by.waitFor(({ peer }) => peer.report?.ready === true, {
      deadlineMs: DEADLINE_MS,
      what: "a ready peer",
    });
    await mark(outside, verb);
    happens(`relais ${verb} (on the ${by.name})`);
    const result = await by.relais([verb]);
    if (result.code !== 0) throw new Error(`relais ${verb}: ${result.stdout}${result.stderr}`);
    await serves(outside, mac, to.name);
    await to.untilState("active", DEADLINE_MS);
    await by.waitFor(({ node, ready }) => node.state === "standby" && ready, {
      deadlineMs: DEADLINE_MS,
      what: "standby after the hand-over",
    });
    results.push([`planned ${verb}`, await showPhase(verb, { cluster, outside })]);
  }
  return results;
}

/** Waits until the client gets answers of that host, by ping and by SIP. */
async function serves(outside: Outside, mac: string, name: string): Promise<void> {
  await outside.client.untilUp("vip", { deadlineMs: DEADLINE_MS, holder: mac });
  await outside.client.untilUp("sip", { deadlineMs: DEADLINE_MS, holder: `test PBX on ${name}` });
}

async function mark({ client, watcher }: Outside, phase: string): Promise<void> {
  await Promise.all([client.mark(phase), watcher.mark(phase)]);
}

async function phoneRegisters(cluster: Cluster, user: string): Promise<void> {
  const { lab } = cluster;
  const answer = await poll(async () => {
    const { status, server } = await register(lab.client, { user, server: lab.vip(0) });
    return status === 200 ? server : null;
  }, { deadlineMs: DEADLINE_MS, what: `the registration of phone ${user}` });
  seen(`phone ${user} registers at ${lab.vip(0)}: ${answer}`);
}

async function addUser(host: RelaisHost, name: string): Promise<void> {
  const text = `INSERT INTO userfeatures (firstname, context) VALUES ('${name}', 'ctx1');`;
  await sql(host.host, { database: "asterisk", text });
}

function countOf(name: string): string {
  return `SELECT count(*) FROM userfeatures WHERE firstname = '${name}';`;
}

/** Waits until the node has received these sets. */
async function received(host: RelaisHost, sets: readonly string[]): Promise<StatusDocument> {
  return await host.waitFor(
    ({ dataSets }) =>
      sets.every((name) =>
        dataSets.some((set) =>
          set.set === name && set.direction === "received" && set.ageMs !== null
        )
      ),
    { deadlineMs: DEADLINE_MS, what: `the copies of ${sets.join(", ")}` },
  );
}

function takeoverRule({ history, node }: StatusDocument): string {
  const entry = history.findLast(({ from, to }) => from === "standby" && to === "taking-over");
  return entry === undefined ? node.rule : `${entry.rule}: ${entry.why}`;
}

function receivedSets({ dataSets }: StatusDocument): StatusDocument["dataSets"] {
  return dataSets.filter(({ direction }) => direction === "received");
}

function showSets(status: StatusDocument): void {
  const rows = receivedSets(status).map((set) => [
    set.set,
    size(set.size),
    set.durationMs === null ? "?" : duration(set.durationMs),
    age(set.ageMs),
    `sha256 ${(set.sha256 ?? "?").slice(0, 12)}`,
  ]);
  table([["data set", "size", "took", "age", "digest"], ...rows]);
}
