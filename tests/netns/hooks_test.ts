// The operator's hooks around real moves: on which host, in which order, at which moment, and what is left.
import assert from "node:assert/strict";
import type { Cluster } from "../support/cluster.ts";
import { PBX_COMMANDS } from "../support/pbx.ts";
import { poll } from "../support/poll.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { assertNeverTwoHolders, DEADLINE_MS, startedCluster, untilServes } from "./situations.ts";
import { STEADY, terminate } from "./stage.ts";

const HOOK = "/usr/local/sbin/note";
const LOG = "/var/log/hooks.log";

/** Writes down when it ran: the VIP held, the PBX running or not, and its argument. */
const SCRIPT = `#!/bin/sh
vip=no pbx=no
ip -oneline address show | grep -q ' 10\\.20\\.0\\.10/' && vip=yes
${PBX_COMMANDS.status.join(" ")} >/dev/null 2>&1 && pbx=yes
echo "$RELAIS_HOOK $RELAIS_ROLE $RELAIS_STATE $RELAIS_GOAL $RELAIS_RULE vip=$vip pbx=$pbx $1" >>${LOG}
`;

/** In front of a takeover also one that fails and one that never ends; behind a hand-back a slow one. */
const HOOKS = [
  "before_takeover = [",
  `  { command = ["${HOOK}", "first"] },`,
  '  { command = ["sh", "-c", "echo no line to the provider >&2; exit 3"] },',
  '  { command = ["sh", "-c", "sleep 600 & wait"], deadline_s = 1 },',
  `  { command = ["${HOOK}", "last"] },`,
  "]",
  `after_takeover = [{ command = ["${HOOK}"] }]`,
  `before_handback = [{ command = ["${HOOK}"] }]`,
  `after_handback = [{ command = ["sleep", "2"] }, { command = ["${HOOK}"] }]`,
];

/** What the program of `hooks.on_alert` was told, as JSON documents. */
const ALERT_LOG = "/var/log/alerts.log";

async function clusterWithHooks(): Promise<Cluster> {
  return await startedCluster({
    config: { ...STEADY, failback: ['mode = "manual"'], hooks: HOOKS },
    files: { [HOOK]: SCRIPT },
  });
}

/** What the hooks of a host wrote down since the last time, once there are \`count\` lines. */
async function noted({ host, name }: RelaisHost, count: number): Promise<string[]> {
  const read = async (): Promise<string[]> =>
    host.exists(LOG) ? (await host.readFile(LOG)).trim().split("\n") : [];
  const lines = await poll(async () => {
    const now = await read();
    return now.length >= count ? now : null;
  }, {
    deadlineMs: DEADLINE_MS,
    what: `${count} hooks on the ${name}`,
    instead: async () => (await read()).join("; "),
  });
  await host.exec(["rm", LOG]);
  return lines.map((line) => line.trim());
}

/** The first start of the master is a takeover too; on a slow machine the slave may have stood in for it. */
async function forgetStart({ master, slave }: Cluster): Promise<void> {
  await noted(master, 3);
  await slave.host.exec(["rm", "-f", LOG]);
}

/** The sentences of the history under HOOK, oldest first. */
async function hookHistory(host: RelaisHost): Promise<string[]> {
  return (await host.status())!.history.filter(({ rule }) => rule === "HOOK").map(({ why }) => why);
}

Deno.test("hooks run in their order around planned moves, on the right hosts, and stop none of them", async () => {
  await using cluster = await clusterWithHooks();
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  await forgetStart(cluster);
  const moves = [
    { from: master, to: slave, verb: "switchover", given: "N-SWITCH", taken: "S-NOTICE" },
    { from: slave, to: master, verb: "failback", given: "S-BACK", taken: "M-BACK" },
  ];
  for (const { from, to, verb, given, taken } of moves) {
    await from.waitFor(({ peer }) => peer.report?.ready === true, {
      deadlineMs: DEADLINE_MS,
      what: "a ready peer",
    });
    const moved = await from.relais([verb]);
    assert.equal(moved.code, 0, moved.stdout + moved.stderr);
    await untilServes(cluster, to, client);
    const role = (host: RelaisHost): string => host === master ? "master" : "slave";
    assert.deepEqual(await noted(from, 2), [
      `before_handback ${role(from)} handing-back hand-over ${given} vip=yes pbx=yes`,
      `after_handback ${role(from)} standby hand-over ${given} vip=no pbx=no`,
    ]);
    assert.deepEqual(await noted(to, 3), [
      `before_takeover ${role(to)} taking-over take ${taken} vip=yes pbx=no first`,
      `before_takeover ${role(to)} taking-over take ${taken} vip=yes pbx=no last`,
      `after_takeover ${role(to)} active take ${taken} vip=yes pbx=yes`,
    ]);
    const { alerts } = await to.waitFor(({ goal }) => goal === null, {
      deadlineMs: DEADLINE_MS,
      what: "the end of the move",
    });
    assert.ok(
      alerts.some((text) => /hook before_takeover .*exited with 3.*no line to the/.test(text)),
      alerts.join("\n"),
    );
  }
  const patterns = [
    /^before_takeover \/usr\/local\/sbin\/note first: exit status 0, after \d/,
    /^before_takeover sh .*: failed: it exited with 3, .*; it said: no line to the provider$/,
    /^before_takeover sh .*: failed: it took longer than 1 s and was killed with all that it/,
    /^before_takeover \/usr\/local\/sbin\/note last: exit status 0/,
    /^after_takeover \/usr\/local\/sbin\/note: exit status 0/,
    /^before_handback \/usr\/local\/sbin\/note: exit status 0/,
    /^after_handback sleep 2: exit status 0/,
    /^after_handback \/usr\/local\/sbin\/note: exit status 0/,
  ];
  const history = (await hookHistory(slave)).slice(-patterns.length);
  assert.equal(history.length, patterns.length, history.join("\n"));
  for (const [index, pattern] of patterns.entries()) assert.match(history[index]!, pattern);
});

Deno.test("hooks of a takeover from a dead master know why; a host that is cut off asks none", async () => {
  await using cluster = await clusterWithHooks();
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  await forgetStart(cluster);
  await master.host.cable("pull");
  await untilServes(cluster, slave, client);
  const [first, last, after] = await noted(slave, 3);
  assert.equal(first, "before_takeover slave taking-over take S-TAKE vip=yes pbx=no first");
  assert.equal(last, "before_takeover slave taking-over take S-TAKE vip=yes pbx=no last");
  assert.equal(after, "after_takeover slave active take S-TAKE vip=yes pbx=yes");
  await master.untilState("isolated", DEADLINE_MS);
  await master.host.cable("plug");
  await master.waitFor(
    ({ node, services, goal }) =>
      node.state === "standby" && services.running === "none" && goal === null,
    { deadlineMs: DEADLINE_MS, what: "the master at rest" },
  );
  assert.equal(master.host.exists(LOG), false);
});

Deno.test("a daemon that ends waits for its hooks behind the hand-over; a restart runs none", async () => {
  await using cluster = await clusterWithHooks();
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  await forgetStart(cluster);
  await master.stop("restart");
  master.start();
  await master.waitFor(({ node, goal }) => node.state === "active" && goal === null, {
    deadlineMs: DEADLINE_MS,
    what: "the adopted service",
  });
  await cluster.untilNormal(DEADLINE_MS);
  assert.equal(master.host.exists(LOG), false, "adopting is no takeover");
  assert.equal(await terminate(master), 0);
  // Already there when the daemon has ended: nothing to wait for.
  assert.deepEqual(
    (await master.host.readFile(LOG)).trim().split("\n").map((line) => line.trim()),
    [
      "before_handback master handing-back hand-over X-GIVE vip=yes pbx=yes",
      "after_handback master standby hand-over X-GIVE vip=no pbx=no",
    ],
  );
  await untilServes(cluster, slave, client);
  assert.equal((await noted(slave, 3)).length, 3);
});

Deno.test("hooks.on_alert: each host tells of the takeover that it sees, the cut-off one when it can", async () => {
  const online = "/var/lib/online";
  // As a webhook: it takes nothing while the network is away, and its words are the input.
  const script = `test -e ${online} || { echo no route to host >&2; exit 7; }; cat >>${ALERT_LOG}`;
  await using cluster = await startedCluster({
    config: {
      ...STEADY,
      failback: ['mode = "manual"'],
      hooks: [`on_alert = [{ command = ["sh", "-c", "${script}"], input = "json" }]`],
    },
  });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await untilServes(cluster, master, client);
  await slave.host.exec(["touch", online]);
  await master.host.cable("pull");
  await untilServes(cluster, slave, client);
  const news = async ({ host }: RelaisHost): Promise<string[]> => {
    // The last line may still be written.
    const text = host.exists(ALERT_LOG) ? await host.readFile(ALERT_LOG) : "";
    const lines = text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
    return lines.flatMap((told: { new: { text: string }[] }) => told.new.map(({ text }) => text));
  };
  const told = async (host: RelaisHost, pattern: RegExp): Promise<string> =>
    await poll(async () => (await news(host)).find((text) => pattern.test(text)) ?? null, {
      deadlineMs: DEADLINE_MS,
      what: `${pattern} told on the ${host.name}`,
      instead: async () => (await news(host)).join("; "),
    });
  await told(slave, /^standby → taking-over \(S-TAKE\): /);
  await told(slave, /^taking-over → active /);
  await master.untilState("isolated", DEADLINE_MS);
  const status = await master.waitFor(
    ({ alerts }) => alerts.some((text) => text.startsWith("The hook on_alert[0] sh ")),
    { deadlineMs: DEADLINE_MS, what: "an alert of the program that fails" },
  );
  assert.match(
    status.alerts.join("\n"),
    /failed: it exited with 7; it said: no route to host; tried/,
  );
  assert.equal(master.host.exists(ALERT_LOG), false);
  await master.host.exec(["touch", online]);
  await master.host.cable("plug");
  await told(master, /^active → isolated /);
  assert.ok(!(await news(master)).some((text) => text.startsWith("The hook on_alert")));
});

Deno.test("a restart in the middle of a hand-over lets it end first: the peer gets its word", async () => {
  // The hook holds the move where nothing has been let go yet.
  await using cluster = await startedCluster({
    config: {
      ...STEADY,
      failback: ['mode = "manual"'],
      hooks: ['before_handback = [{ command = ["sleep", "3"] }]'],
    },
  });
  const { master, slave } = cluster;
  await using client = await cluster.observe();
  await using watcher = await cluster.watch();
  await untilServes(cluster, master, client);
  const since = new Date().toISOString();
  const moving = master.relais(["switchover"]);
  await master.untilState("handing-back", DEADLINE_MS);
  await master.stop("restart");
  master.start();
  await moving;
  await untilServes(cluster, slave, client);
  await master.untilState("standby", DEADLINE_MS);
  const decided = (await slave.status())!.history.filter(({ at }) => at >= since)
    .map(({ rule }) => rule);
  assert.ok(decided.includes("S-NOTICE"), decided.join());
  await assertNeverTwoHolders(watcher);
});
