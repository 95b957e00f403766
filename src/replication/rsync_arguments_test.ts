import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import { parseReceiveCommand, rsyncVerb, splitWords } from "./receive_command.ts";
import { checkRsyncRequest, rsyncCommand } from "./rsync_arguments.ts";
import { rsyncShell, sshCommand } from "./ssh_arguments.ts";
import { parseStats, stopMassDeletion } from "./files.ts";

const FILES = {
  everyMs: 1,
  onChange: false,
  paths: ["/var/lib/xivo/sounds/", "/etc/xivo/a file"],
  pathsFromPreset: false,
  excludes: [],
  returnPaths: ["/var/spool/asterisk/voicemail"],
};
const COPY = "--server -vlHogDtpAXre.iLsfxCIvu --delete-after --max-delete=9 --delay-updates";
const RETURN = "--server -ublHogDtpAXre.iLsfxCIvu --numeric-ids --suffix=.before-relais";

function check(text: string, origin: "master" | "slave"): string {
  const result = checkRsyncRequest(text.split(" "), FILES, origin);
  return "refused" in result ? "refused" : result.path;
}

Deno.test("checkRsyncRequest() lets pass what the sender makes, for declared paths only", () => {
  const table: readonly [string, "master" | "slave", string][] = [
    [`${COPY} . /var/lib/xivo/sounds/`, "master", "/var/lib/xivo/sounds"],
    [`${COPY} . /var/lib/xivo/sounds/`, "slave", "refused"],
    [`${COPY} . /var/lib/xivo/sounds/fr/`, "master", "refused"],
    [`${COPY} . /var/lib/xivo/`, "master", "refused"],
    [`${COPY} . /var/lib/xivo/sounds//`, "master", "refused"],
    [`${COPY} . /var/lib/xivo/sounds/../`, "master", "refused"],
    [`${COPY} . /var/spool/asterisk/voicemail/`, "master", "refused"],
    [`${RETURN} . /var/spool/asterisk/voicemail/`, "slave", "/var/spool/asterisk/voicemail"],
    [`${RETURN} . /var/spool/asterisk/voicemail/`, "master", "/var/spool/asterisk/voicemail"],
    [`${RETURN} . /var/lib/xivo/sounds/`, "slave", "refused"],
    [`${RETURN} --delete-after . /var/spool/asterisk/voicemail/`, "slave", "refused"],
    [`${COPY} --sender . /var/lib/xivo/sounds/`, "master", "refused"],
    [`${COPY} --temp-dir=/etc . /var/lib/xivo/sounds/`, "master", "refused"],
    [`${COPY} --backup-dir=/etc . /var/lib/xivo/sounds/`, "master", "refused"],
    [`${COPY} --partial-dir=/etc . /var/lib/xivo/sounds/`, "master", "refused"],
    [`${COPY} --copy-dest=/root . /var/lib/xivo/sounds/`, "master", "refused"],
    [`${COPY} --log-file=/etc/x . /var/lib/xivo/sounds/`, "master", "refused"],
    [`${COPY} -K . /var/lib/xivo/sounds/`, "master", "refused"],
    [`${COPY} -s . /var/lib/xivo/sounds/`, "master", "refused"],
    [`${COPY} . /var/lib/xivo/sounds/ /etc/`, "master", "refused"],
    [`${COPY} .`, "master", "refused"],
    ["-logr . /var/lib/xivo/sounds/", "master", "refused"],
  ];
  for (const [words, origin, expected] of table) {
    assert.equal(check(words, origin), expected, words);
  }
});

Deno.test("parseReceiveCommand() knows its verbs and nothing else", () => {
  assert.deepEqual(parseReceiveCommand("hello"), { verb: "hello" });
  assert.deepEqual(parseReceiveCommand("put database"), { verb: "put", set: "database" });
  assert.deepEqual(parseReceiveCommand("get astdb"), { verb: "get", set: "astdb" });
  const nonce = "0123456789abcdef0123456789abcdef";
  assert.deepEqual(parseReceiveCommand(`facts ${nonce}`), { verb: "facts", nonce });
  const facts = { epoch: 3, origin: "master", snapshotWallMs: 1700, fingerprint: "ab12" } as const;
  assert.deepEqual(parseReceiveCommand(`${rsyncVerb(facts)} --server -n . /etc/xivo/a\\ file`), {
    verb: "rsync",
    ...facts,
    words: ["--server", "-n", ".", "/etc/xivo/a file"],
  });
  const refused = ["", " ", "hello x", "put", "put astdb x", "put /etc", "get files", "sh -c id"];
  const noNonce = ["facts", "facts x", `facts ${nonce}0`, `facts ${nonce} x`, "facts ../x"];
  const sneaky = [
    "hello\n",
    "hello;id",
    "$(id)",
    "`id`",
    "hello > /x",
    "put 'astdb'",
    "a".repeat(9000),
  ];
  for (
    const text of [
      ...refused,
      ...noNonce,
      ...sneaky,
      "rsync --server . /",
      "rsync 1 nobody 1 a --server",
    ]
  ) {
    assert.ok("refused" in parseReceiveCommand(text), text);
  }
});

Deno.test("splitWords() gives back any words that were escaped with backslashes", () => {
  const word = fc.string({ minLength: 1, maxLength: 12 })
    // deno-lint-ignore no-control-regex
    .filter((text) => !/[\x00-\x1f\x7f]/.test(text));
  fc.assert(fc.property(fc.array(word, { maxLength: 5 }), (words) => {
    const line = words.map((text) => text.replaceAll(/[^A-Za-z0-9]/g, "\\$&")).join(" ");
    assert.deepEqual(splitWords(line), words);
  }));
});

Deno.test("rsyncCommand() deletes only in a copy, and returns only newer ones with a backup", () => {
  const base = {
    path: "/p",
    isDirectory: true,
    excludes: ["*.tmp"],
    shell: "ssh",
    host: "h",
    remoteVerb: "rsync 1 master 2 f",
    dryRun: false,
    maxDelete: 7,
  };
  const copy = rsyncCommand({ ...base, mode: "copy" });
  assert.ok(copy.includes("--delete-after") && copy.includes("--max-delete=7"));
  assert.deepEqual(copy.slice(-2), ["/p/", "h:/p/"]);
  const back = rsyncCommand({ ...base, mode: "return", isDirectory: false });
  assert.ok(!back.some((word) => word.startsWith("--delete") || word.startsWith("--max-delete")));
  assert.ok(back.includes("--update") && back.includes("--backup"));
  assert.deepEqual(back.slice(-2), ["/p", "h:/p"]);
});

Deno.test("stopMassDeletion() stops when more than half of the peer's files would go", () => {
  const text =
    "Number of files: 1,020 (reg: 1,000, dir: 20)\nNumber of created files: 20 (reg: 20)\n" +
    "Number of deleted files: 1,500 (reg: 1,500)\n";
  assert.deepEqual(parseStats(text), { total: 1020, created: 20, deleted: 1500 });
  assert.throws(() => stopMassDeletion("/p", parseStats(text)), /delete 1500 of 2500 files/);
  stopMassDeletion("/p", { total: 1000, created: 0, deleted: 900 });
  stopMassDeletion("/p", { total: 1, created: 0, deleted: 49 });
  assert.throws(() => stopMassDeletion("/p", { total: 1, created: 0, deleted: 50 }));
});

Deno.test("sshCommand() pins the host key, asks nothing, and keeps its socket path short enough", () => {
  const transport = {
    user: "root",
    port: 22,
    identityFile: "/etc/relais/id",
    knownHostsFile: "/etc/relais/known hosts",
  };
  const argv = sshCommand({ transport, runDir: "/run/relais", address: "fd00::b", verb: "hello" });
  const expected = ["StrictHostKeyChecking=yes", "BatchMode=yes", "ControlMaster=auto"];
  for (const option of expected) assert.ok(argv.includes(option), option);
  assert.ok(argv.includes('UserKnownHostsFile="/etc/relais/known hosts"'));
  assert.deepEqual(argv.slice(-3), ["--", "fd00::b", "hello"]);
  const long = sshCommand({
    transport,
    runDir: `/tmp/${"x".repeat(90)}`,
    address: "10.0.0.1",
    verb: "hello",
  });
  assert.ok(long.includes("ControlMaster=no"));
  const shell = rsyncShell({ transport, runDir: "/run/relais", address: "10.0.0.1" });
  assert.ok(shell.includes(`'UserKnownHostsFile="/etc/relais/known hosts"'`));
});
