import assert from "node:assert/strict";
import { systemClock } from "../os/clock.ts";
import { run } from "../os/process.ts";
import { Pair, putRows, readRow, waitFor } from "./peer_fixture.ts";
import { Spool } from "./spool.ts";
import { SetStates } from "./set_state.ts";
import { sshCommand } from "./ssh_arguments.ts";

const signal = new AbortController().signal;

async function withPair(
  role: "master" | "slave",
  body: (pair: Pair) => Promise<void>,
): Promise<void> {
  const pair = await Pair.make(role);
  try {
    await body(pair);
  } finally {
    await pair.transport().close();
    await pair.end();
  }
}

Deno.test("Replicator.sync() brings the astdb into the peer's spool and both remember it", async () => {
  await withPair("master", async (pair) => {
    putRows(pair.at("shared/astdb.sqlite3"), { "/SIP/Registry/100": "10.0.0.1" });
    const replicator = pair.replicator();
    const sent = await replicator.sync("astdb", { signal });
    const [generation] = await new Spool(pair.at("peer/state"), "astdb").generations();
    assert.equal(readRow(generation!.path, "/SIP/Registry/100"), "10.0.0.1");
    assert.equal(generation!.trailer.sha256, sent.sha256);
    assert.equal(sent.lastError, null);
    const received = new SetStates(pair.at("peer/state"), assert.fail).read("astdb", "received");
    assert.equal(received.sha256, sent.sha256);
    assert.equal(received.origin, "master");
    assert.match(pair.gateLog(), /begin astdb 1 master\n[^]*end astdb true/);
    // Nothing was put in place: that is done when the peer takes over.
    assert.deepEqual([...Deno.readDirSync(pair.at("peer/shared"))], []);
    assert.ok(replicator.status()[0]!.sentAgeMs! >= 0);
    await replicator.stop();
  });
});

Deno.test("Replicator.sync() says why the peer refuses, and nothing is written there", async () => {
  await withPair("master", async (pair) => {
    putRows(pair.at("shared/astdb.sqlite3"), { "/a": "b" });
    const replicator = pair.replicator();
    await pair.setGate({ daemon: pair.peerDaemon("active"), refusal: "this node is active" });
    await assert.rejects(replicator.sync("astdb", { signal }), /this node is active/);
    await pair.setGate({ daemon: null, refusal: null });
    await assert.rejects(replicator.sync("astdb", { signal }), /daemon here does not answer/);
    await pair.setGate({ daemon: pair.peerDaemon("standby"), refusal: null });
    await Deno.writeTextFile(
      pair.at("peer/config.json"),
      JSON.stringify({ ...pair.config(), role: "slave", fingerprint: "other" }),
    );
    await assert.rejects(replicator.sync("astdb", { signal }), /configurations .*differ/);
    assert.deepEqual(await new Spool(pair.at("peer/state"), "astdb").generations(), []);
    assert.match(replicator.status()[0]!.sent.lastError ?? "", /differ/);
    await replicator.stop();
    const idle = pair.replicator({
      mayRead: () => ({ ok: false, reason: "this node is standby" }),
    });
    await assert.rejects(idle.sync("astdb", { signal }), /this node is standby/);
    await assert.rejects(idle.sync("database", { signal }), /not configured/);
    await idle.stop();
  });
});

Deno.test("relais receive refuses everything but its verbs", async () => {
  await withPair("slave", async (pair) => {
    await Deno.mkdir(pair.at("peer/shared/voice mail"), { recursive: true });
    const facts = "1 slave 1 f00d --server";
    const refused = [
      "",
      "cat /etc/passwd",
      "put astdb; id",
      "put passwd",
      "get database",
      `rsync ${facts} --sender -ubve.LsfxCIvu . /etc/`,
      `rsync ${facts} -ublogDtpre.iLsfxCIvu . /etc/`,
      `rsync ${facts} -ublogDtpre.iLsfxCIvu . ${pair.at("shared/voice\\ mail/../sounds/")}`,
      `rsync ${facts} -ublogDtpre.iLsfxCIvu --delete-after . ${pair.at("shared/voice\\ mail/")}`,
      `rsync ${facts} -logDtpre.iLsfxCIvu . ${pair.at("shared/voice\\ mail/")}`,
      `rsync ${facts} -ubslogDtpre.iLsfxCIvu . ${pair.at("shared/voice\\ mail/")}`,
      `rsync ${facts} -ublogDtpre.iLsfxCIvu . ${pair.at("shared/sounds/")}`,
      `rsync 1 master 1 f00d --server -ublogDtpre.iLsfxCIvu . ${pair.at("shared/sounds/")}`,
      `rsync ${facts} -ublogDtpre.iLsfxCIvu --rsync-path=sh . ${pair.at("shared/voice\\ mail/")}`,
    ];
    const { transport } = pair.config().replication;
    for (const verb of refused) {
      const input = { transport, runDir: pair.at("run"), address: "127.0.0.1" };
      const argv = verb === ""
        ? sshCommand({ ...input, verb: "" }).slice(0, -1)
        : sshCommand({ ...input, verb });
      const result = await run(argv, { deadlineMs: 20_000, stdin: "" });
      assert.equal(result.code, 77, `${verb}: ${result.stdout} ${result.stderr}`);
      assert.match(result.stderr, /Cannot/);
    }
    assert.doesNotMatch(pair.gateLog(), /^(begin|confirm|end) /m);
  });
});

Deno.test("Transport tries the next address, and refuses a host key that is not pinned", async () => {
  await withPair("master", async (pair) => {
    const transport = pair.transport(["127.0.0.9", "127.0.0.2"]);
    const hello = await transport.hello({ signal });
    assert.equal(hello.role, "slave");
    assert.equal(hello.daemon?.state, "standby");
    assert.equal(await transport.address({ signal }), "127.0.0.2");
    await transport.close();

    const known = await Deno.readTextFile(pair.at("known_hosts"));
    await Deno.writeTextFile(pair.at("known_hosts"), "");
    await assert.rejects(pair.transport().hello({ signal }), /host key is not the pinned one/);
    await Deno.writeTextFile(pair.at("known_hosts"), known);
    await Deno.writeTextFile(pair.at("authorized_keys"), "");
    await assert.rejects(pair.transport().hello({ signal }), /does not know our key/);
    await assert.rejects(pair.transport(["127.0.0.9"]).hello({ signal }), /Connection refused/);
  });
});

Deno.test("Replicator.astdb.fetchIfNewer() gets what the stand-in registered (M4), whatever its clock says", async () => {
  await withPair("master", async (pair) => {
    const ours = pair.at("shared/astdb.sqlite3");
    const theirs = pair.at("peer/shared/astdb.sqlite3");
    putRows(ours, { "/SIP/Registry/100": "before" });
    putRows(theirs, { "/SIP/Registry/100": "during" });
    const longAgo = new Date(Date.now() - 600_000);
    await Deno.utime(theirs, longAgo, longAgo);
    const replicator = pair.replicator();
    // Before anybody took over, the master's own is the one.
    assert.equal((await replicator.astdb.fetchIfNewer({ signal })).fetched, false);
    await Deno.mkdir(pair.at("peer/state/sets"), { recursive: true });
    await Deno.writeTextFile(
      pair.at("peer/state/sets/astdb.live.json"),
      JSON.stringify({ epoch: 2, installed: null }),
    );
    await pair.setGate({ daemon: pair.peerDaemon("active", 2), refusal: null });
    const outcome = await replicator.astdb.fetchIfNewer({ signal });
    assert.equal(outcome.fetched, true, outcome.why);
    assert.equal(readRow(ours, "/SIP/Registry/100"), "during");
    const again = await replicator.astdb.fetchIfNewer({ signal });
    assert.deepEqual([again.fetched, again.asked], [false, true]);
    putRows(theirs, { "/SIP/Registry/101": "later" });
    assert.equal((await replicator.astdb.fetchIfNewer({ signal })).fetched, true);
    assert.equal(readRow(ours, "/SIP/Registry/101"), "later");
    await pair.powerOff();
    const silent = await replicator.astdb.fetchIfNewer({ signal });
    assert.deepEqual([silent.fetched, silent.asked], [false, false]);
    await replicator.stop();
  });
});

Deno.test("an astdb that a power cut rolled back comes back from the peer's copy of it", async () => {
  await withPair("master", async (pair) => {
    const path = pair.at("shared/astdb.sqlite3");
    putRows(path, { "/SIP/Registry/100": "old" });
    const before = await Deno.readFile(path);
    const replicator = pair.replicator();
    replicator.start();
    putRows(path, { "/SIP/Registry/200": "acknowledged" });
    await waitFor(async () => {
      const [newest] = await new Spool(pair.at("peer/state"), "astdb").generations();
      return newest !== undefined && readRow(newest.path, "/SIP/Registry/200") !== null;
    }, "the change is at the peer");
    await replicator.stop();
    const written = (await Deno.stat(path)).mtime!;
    await Deno.writeFile(path, before);
    await Deno.utime(path, written, written);
    const after = pair.replicator();
    const outcome = await after.astdb.fetchIfNewer({ signal });
    assert.equal(outcome.fetched, true, outcome.why);
    assert.match(outcome.why, /lost changes/);
    assert.equal(readRow(path, "/SIP/Registry/200"), "acknowledged");
    await after.stop();
  });
});

Deno.test("takeover and hand-back: the astdb goes over, is put in place, and never an older one", async () => {
  await withPair("slave", async (pair) => {
    const ours = pair.at("shared/astdb.sqlite3");
    putRows(ours, { "/SIP/Registry/100": "long ago" });
    // What the master had sent: received here by the real receiving code of the other direction.
    putRows(pair.at("master"), { "/SIP/Registry/100": "master" });
    await Deno.mkdir(pair.at("peer/state/sets"), { recursive: true });
    await Deno.rename(pair.at("master"), pair.at("peer/shared/astdb.sqlite3"));
    await Deno.writeTextFile(
      pair.at("peer/state/sets/astdb.live.json"),
      JSON.stringify({ epoch: 1, installed: null }),
    );
    const replicator = pair.replicator({ mayRead: () => ({ ok: false, reason: "standby" }) });
    assert.equal((await replicator.astdb.installReceived({ signal })).installed, false);
    assert.equal((await replicator.astdb.fetchIfNewer({ signal })).fetched, true);
    assert.equal(readRow(ours, "/SIP/Registry/100"), "master");
    // The slave's file is damaged before the takeover: the spool has it.
    await Deno.writeTextFile(ours, "garbage");
    const installed = await replicator.astdb.installReceived({ signal });
    assert.equal(installed.installed, true, installed.why);
    assert.ok(installed.ageMs! >= 0);
    assert.equal(readRow(ours, "/SIP/Registry/100"), "master");
    assert.equal((await replicator.astdb.installReceived({ signal })).installed, false);
    // It serves in epoch 2 and registers; what is in the spool must not come over that.
    const serving = pair.replicator({ mayRead: () => ({ ok: true, epoch: 2 }) });
    await pair.setGate({ daemon: null, refusal: null });
    serving.start();
    await waitFor(() => serving.status()[0]!.failures > 0, "the first copy was tried");
    putRows(ours, { "/SIP/Registry/100": "slave" });
    await serving.stop();
    assert.equal((await replicator.astdb.installReceived({ signal })).installed, false);
    assert.equal(readRow(ours, "/SIP/Registry/100"), "slave");
    // Hand-back: at rest to the master's spool.
    await pair.setGate({ daemon: pair.peerDaemon("rejoining", 2), refusal: null });
    await replicator.astdb.sendAtRest({ signal, epoch: 2 });
    const [generation] = await new Spool(pair.at("peer/state"), "astdb").generations();
    assert.equal(readRow(generation!.path, "/SIP/Registry/100"), "slave");
    assert.deepEqual([generation!.header.epoch, generation!.header.origin], [2, "slave"]);
    await replicator.stop();
  });
});

Deno.test("Replicator copies a changed astdb by itself, and stops when the node may not be read", async () => {
  await withPair("master", async (pair) => {
    const path = pair.at("shared/astdb.sqlite3");
    putRows(path, { "/counter": "0" });
    let active = true;
    const replicator = pair.replicator({
      mayRead: () => active ? { ok: true, epoch: 3 } : { ok: false, reason: "it is isolated" },
    });
    const spool = new Spool(pair.at("peer/state"), "astdb");
    const seen = async (value: string): Promise<boolean> => {
      const [newest] = await spool.generations();
      return newest !== undefined && readRow(newest.path, "/counter") === value;
    };
    replicator.start();
    for (const value of ["1", "2", "3"]) {
      putRows(path, { "/counter": value });
      await waitFor(() => seen(value), `change ${value} is at the peer`);
    }
    assert.ok(replicator.status()[0]!.nextInMs! > 0);
    active = false;
    await waitFor(() => replicator.status()[0]!.nextInMs === null, "the schedule ended");
    putRows(path, { "/counter": "4" });
    await systemClock.sleep(1200);
    assert.equal(await seen("3"), true);
    await replicator.stop();
  });
});

Deno.test("Replicator.status() shows right ages while the clocks of the hosts are 10 minutes apart", async () => {
  await withPair("slave", async (pair) => {
    const replicator = pair.replicator();
    for (const apartMs of [600_000, -600_000]) {
      const wallMs = systemClock.wallMs();
      await new SetStates(pair.at("state"), assert.fail).succeeded("astdb", "received", {
        snapshotWallMs: wallMs + apartMs - 7000,
        epoch: 1,
        origin: "master",
        size: 1,
        sha256: "00",
        durationMs: 2000,
      }, wallMs - 5000);
      const age = replicator.status()[0]!.receivedAgeMs ?? -1;
      assert.ok(age >= 7000 && age < 300_000, `${age} ms with clocks ${apartMs} ms apart`);
    }
    await replicator.stop();
  });
});
