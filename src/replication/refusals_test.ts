import assert from "node:assert/strict";
import fc from "fast-check";
import { SEED } from "../../tests/support/seed.ts";
import { systemClock } from "../os/clock.ts";
import { run } from "../os/process.ts";
import { Pair, putRows, waitFor } from "./peer_fixture.ts";
import { parseReceiveCommand, rsyncVerb } from "./receive_command.ts";
import { checkRsyncRequest } from "./rsync_arguments.ts";
import type { SetHeader } from "./set_header.ts";
import { sshOptions } from "./ssh_arguments.ts";
import { putSet } from "./put_set.ts";
import { RemoteError, type Transport } from "./transport.ts";

const signal = new AbortController().signal;
const DEADLINE = { deadlineMs: 30_000 };

/** What the peer says to one request, over real ssh. */
async function ask(transport: Transport, verb: string): Promise<string> {
  const remote = await transport.openRemote(verb, { signal, ...DEADLINE });
  await remote.stdin.close().catch(() => {}); // It may have refused already.
  try {
    await transport.result(remote);
    return "accepted";
  } catch (cause) {
    assert.ok(cause instanceof RemoteError, String(cause));
    return `${cause.kind}: ${cause.message}`;
  }
}

Deno.test("relais receive refuses every request that is none of its verbs, and the daemon hears of each", async () => {
  const pair = await Pair.make("master");
  const transport = pair.transport();
  try {
    const facts = { epoch: 1, origin: "master", snapshotWallMs: 1, fingerprint: "f00d" } as const;
    const rsync = `${rsyncVerb(facts)} --server -vlHogDtpAXre.iLsfxCIvu`;
    const sounds = pair.at("shared/sounds/");
    const odd = [
      "id",
      "hello;id",
      "hello\nid",
      "hello && id",
      "hello | sh",
      "$(id)",
      "`id`",
      "put 'astdb'",
      'put "astdb"',
      "put ../../etc/passwd",
      "put astdb extra",
      "put files\t",
      "get /etc/shadow",
      "get database",
      "scp -t /etc",
      "/usr/lib/openssh/sftp-server",
      "rsync --server --sender -logr . /etc/",
      `put ${"a".repeat(9000)}`,
      "facts ../../../etc/shadow",
    ];
    for (const verb of odd) assert.match(await ask(transport, verb), /^refused: /, verb);
    const rsyncs = [
      `${rsync} . /etc/`,
      `${rsync} . ${sounds}../../../etc/`,
      `${rsync} . ${sounds}fr/`,
      `${rsync} --sender . ${sounds}`,
      `${rsync} --log-file=/etc/cron.d/x . ${sounds}`,
      `${rsync} --partial-dir=/etc . ${sounds}`,
      `${rsync} --partial-dir /etc . ${sounds}`,
      `${rsync} --temp-dir /etc . ${sounds}`,
      `${rsync} --rsh=id . ${sounds}`,
      `${rsync} --daemon . ${sounds}`,
      `${rsync} --files-from=/etc/shadow . ${sounds}`,
      `${rsync} -s . ${sounds}`,
    ];
    for (const verb of rsyncs) {
      // Standard output is rsync's: the refusal is in the exit status and on standard error.
      const args = sshOptions({
        transport: pair.config().replication.transport,
        runDir: pair.at("run"),
        address: "127.0.0.1",
      });
      const { code, stderr, stdout } = await run(
        ["ssh", ...args, "--", "127.0.0.1", verb],
        DEADLINE,
      );
      assert.equal(code, 77, `${verb}: ${stderr}`);
      assert.equal(stdout, "");
    }
    const told = pair.gateLog().split("\n");
    assert.equal(
      told.filter((line) => line.startsWith("refused ")).length,
      odd.length + rsyncs.length,
    );
    assert.equal(told.filter((line) => line.startsWith("begin ")).length, 0, "nothing was begun");
  } finally {
    await transport.close();
    await pair.end();
  }
});

Deno.test("the key opens no shell, terminal, subsystem or tunnel, and carries no environment", async () => {
  const pair = await Pair.make("master");
  try {
    const options = (...more: readonly string[]): string[] => [
      "ssh",
      ...more,
      ...sshOptions({
        transport: pair.config().replication.transport,
        runDir: pair.at("run"),
        address: "127.0.0.1",
      }).filter((word) => word !== "-T"),
    ];
    const shell = await run([...options("-tt"), "127.0.0.1"], DEADLINE);
    assert.notEqual(shell.code, 0, "without a command it is not a shell");
    const sftp = await run([...options(), "-s", "127.0.0.1", "sftp"], DEADLINE);
    assert.notEqual(sftp.code, 0);
    const tunnel = await run([...options(), "-W", `127.0.0.1:${pair.port}`, "127.0.0.1"], DEADLINE);
    assert.notEqual(tunnel.code, 0);
    assert.doesNotMatch(tunnel.stdout, /SSH-2/, "the tunnel leads nowhere");
    // A forced command of another name does not come along as a variable.
    const env = await run([
      ...options("-o", "SetEnv=SSH_ORIGINAL_COMMAND=id RSYNC_RSH=id"),
      "127.0.0.1",
      "hello",
    ], DEADLINE);
    assert.equal(env.code, 0, env.stderr);
    assert.match(env.stdout, /"role":"slave"/);
  } finally {
    await pair.transport().close();
    await pair.end();
  }
});

function header(change: Partial<SetHeader>): SetHeader {
  return {
    version: 1,
    set: "astdb",
    epoch: 1,
    origin: "master",
    snapshotWallMs: 1,
    fingerprint: "f00d",
    detail: {},
    ...change,
  };
}

Deno.test("each kind of refusal of a set is the same sentence for the sender and for the receiver's daemon", async () => {
  const pair = await Pair.make("master");
  const transport = pair.transport();
  try {
    putRows(pair.at("shared/astdb.sqlite3"), { "/a": "1" });
    const payload = await Deno.readFile(pair.at("shared/astdb.sqlite3"));
    const put = async (change: Partial<SetHeader>): Promise<string> => {
      const sent = putSet({
        transport,
        clock: systemClock,
        header: header(change),
        payload: new Blob([payload]).stream(),
        signal,
        ...DEADLINE,
        onProgress: () => {},
      });
      return await sent.then(() => "accepted", (cause: unknown) => (cause as Error).message);
    };
    const table: readonly [Partial<SetHeader>, RegExp][] = [
      [{ origin: "slave" }, /its origin is the slave and so is this host/],
      [{ fingerprint: "beef" }, /the configurations of the two hosts differ/],
      [{ set: "database" }, /replication\.database is not configured here/],
    ];
    for (const [change, expected] of table) {
      const sentence = (await put(change)).replace(/^The peer says: /, "");
      assert.match(sentence, expected);
      await waitFor(() => pair.gateLog().includes(sentence), `the daemon hears: ${sentence}`);
    }
    for (const refusal of ["this node is active", "its epoch 1 is older than epoch 9 here"]) {
      await pair.setGate({ daemon: pair.peerDaemon("active"), refusal });
      assert.match(await put({}), new RegExp(`^The peer says: ${refusal}$`));
    }
    await pair.setGate({ daemon: pair.peerDaemon("standby"), refusal: null });
    assert.equal(await put({}), "accepted");
  } finally {
    await transport.close();
    await pair.end();
  }
});

const FILES = {
  everyMs: 1,
  onChange: false,
  paths: ["/srv/sounds", "/srv/a file"],
  pathsFromPreset: false,
  excludes: [],
  returnPaths: ["/srv/voice mail"],
};
const PLACES = [...FILES.paths, ...FILES.returnPaths];

/** Words that mean something to a shell, to rsync, to ssh or to a file system. */
const NASTY = fc.constantFrom(
  ..."; | & ` $( ) { } < > ' \" \\ # ! * ? ~ \0 \n \r \t .. /.. ../ // /etc /srv/sounds -e --sender -s"
    .split(" "),
  "--server",
  "--rsh=sh",
  "--log-file=/x",
  "--partial-dir",
  ".relais-partial",
  " ",
  "\u202e",
  "é",
);
const VALID = fc.constantFrom<string[]>(
  "hello",
  "put astdb",
  "put database",
  "get astdb",
  "rsync 1 master 1 f00d --server -vlHogDtpAXrze.iLsfxCIvu --numeric-ids --delete-after . /srv/sounds/",
  "rsync 1 slave 1 f00d --server -ubvlHogDtpAXre.iLsfxCIvu --suffix=.before-relais . /srv/voice\\ mail/",
);

Deno.test(`any request is refused or does only what is declared (seed ${SEED})`, () => {
  const damaged = fc.tuple(
    VALID,
    fc.array(fc.tuple(fc.nat(120), NASTY, fc.nat(3)), { maxLength: 4 }),
  )
    .map(([text, edits]) =>
      edits.reduce<string>(
        (now, [at, nasty, cut]) => now.slice(0, at) + nasty + now.slice(at + cut),
        text,
      )
    );
  fc.assert(
    fc.property(
      fc.oneof(damaged, fc.string(), fc.array(NASTY).map((all) => all.join(""))),
      (text) => {
        const verb = parseReceiveCommand(text);
        if ("refused" in verb) {
          // deno-lint-ignore no-control-regex
          assert.doesNotMatch(verb.refused, /[\x00-\x1f\x7f]/, "a refusal is fit for a log");
          return;
        }
        if (verb.verb !== "rsync") {
          assert.ok(text.trim().split(/ +/).length <= 4, text);
          return;
        }
        const request = checkRsyncRequest(verb.words, FILES, verb.origin);
        if ("refused" in request) return;
        const place = request.path.replace(/\/\.relais-return$/, "");
        assert.ok(PLACES.includes(place), request.path);
        assert.ok(
          !request.args.some((word) => /^--(sender|rsh|daemon|log-file|temp-dir)|^-s$/.test(word)),
        );
        assert.ok(!(request.deletes && verb.origin === "slave"), "the slave deletes nothing");
      },
    ),
    { seed: SEED, numRuns: 20_000 },
  );
});
