/**
 * What a peer may ask of `relais receive`, and what it says: command lines, rsync's words, lines of JSON,
 * manifests, lists of files.
 *
 * @module
 */

import { join } from "node:path";
import type { FilesConfig } from "../../../src/config/types.ts";
import {
  decodeManifest,
  decodeManifestLength,
  encodeManifest,
  ManifestError,
} from "../../../src/replication/database_manifest.ts";
import {
  parseWorkerArguments,
  workerArguments,
} from "../../../src/replication/database_protocol.ts";
import { parsePeerFacts, peerWords } from "../../../src/replication/logical/peer_facts.ts";
import { streamRequestSchema } from "../../../src/replication/logical/request.ts";
import {
  parseReceiveCommand,
  rsyncVerb,
  splitWords,
} from "../../../src/replication/receive_command.ts";
import { encodeRemoteLine, parseRemoteLine } from "../../../src/replication/remote_protocol.ts";
import type { RemoteLine } from "../../../src/replication/remote_protocol.ts";
import { decodeChange } from "../../../src/replication/return/decode.ts";
import {
  decisionsSchema,
  returnOutcomeSchema,
  rowChangeSchema,
} from "../../../src/replication/return/return_types.ts";
import { parseReturnTable } from "../../../src/replication/return/return_types.ts";
import { returnHeadSchema } from "../../../src/replication/return/return_send.ts";
import { treeOf } from "../../../src/replication/return_base.ts";
import { mergeReturn } from "../../../src/replication/return_merge.ts";
import { returnListSchema, returnOrderSchema } from "../../../src/replication/return_protocol.ts";
import {
  checkRsyncRequest,
  rsyncCommand,
  STAGING_NAME,
} from "../../../src/replication/rsync_arguments.ts";
import { setHeaderSchema, setTrailerSchema } from "../../../src/replication/set_header.ts";
import { bytesOf, concat, jsonOf, textOf } from "../bytes.ts";
import type { Random } from "../random.ts";
import { Finding, mustBePlain, mustEqual, mustHold, orRefused } from "../target.ts";
import { stateless, type Target } from "../target.ts";

const FILES = {
  paths: ["/var/lib/xivo", "/etc/asterisk", "/var/spool/one file"],
  returnPaths: ["/var/spool/asterisk/voicemail", "/var/lib/xivo/"],
  excludes: [],
} as unknown as FilesConfig;
const FACTS = {
  epoch: 4,
  origin: "master",
  snapshotWallMs: 1_760_000_000_000,
  fingerprint: "ab12",
} as const;
const ID = "0123456789abcdef0123456789abcdef";

/** Words of rsync's server side, as rsync 3.2 sends them. */
const SERVER = [
  "--server",
  "-nlHogDtpAXrSe.iLsfxCIvu",
  "--delete-after",
  "--partial-dir",
  ".relais-partial",
]
  .concat([
    "--numeric-ids",
    "--max-delete=1000",
    "--delay-updates",
    "--timeout=60",
    "--log-format=X",
  ])
  .concat(["--stats", "--info=PROGRESS2,STATS2", ".", "/var/lib/xivo/"]);
const RETURN = ["--server", "-ulbHogDtpAXrSe.iLsfxCIvu", "--suffix=.before-relais", "--numeric-ids"]
  .concat(["--partial", "--delay-updates", ".", "/var/spool/asterisk/voicemail/"]);
const STAGE = ["--server", "-lHogDtpAXSRe.iLsfxCIvu", "--numeric-ids", "--timeout=60", "."]
  .concat([`/var/spool/asterisk/voicemail/${STAGING_NAME}/`]);
const ESCAPES = [
  "/var/lib/xivo/../../../etc/",
  "/etc/passwd",
  "--sender",
  "-e",
  "--rsh=sh",
  "/var/lib",
]
  .concat([
    "--files-from=/etc/shadow",
    "--log-file=/etc/cron.d/x",
    "--daemon",
    "--config=/x",
    "./x",
    "~",
  ])
  .concat([
    "--partial-dir=/etc",
    "--backup-dir=/etc",
    "--suffix=/../x",
    "--remove-source-files",
    ".",
  ])
  .concat([
    "--write-devices",
    "--delete",
    "--temp-dir=/x",
    "--copy-links",
    "-L",
    "-K",
    "--",
    "",
    "-s",
  ]);

function checkRequest(words: readonly string[]): boolean {
  let accepted = false;
  for (const origin of ["master", "slave"] as const) {
    const request = checkRsyncRequest(words, FILES, origin);
    if ("refused" in request) continue;
    accepted = true;
    mustBeContained(request.args, origin);
    mustEqual(request.args, words, "the words that were checked");
    mustHold(request.deletes ? origin === "master" : true, "the slave may delete");
  }
  return accepted;
}

/** The property itself, written again from the manual of rsync and not from the code. */
function mustBeContained(args: readonly string[], origin: string): void {
  const destination = args.at(-1) ?? "";
  const place = destination.replace(/\/$/, "");
  const own = [...FILES.paths, ...FILES.returnPaths].map((path) => path.replace(/\/$/, ""));
  const inside = own.some((path) => place === path || place === `${path}/${STAGING_NAME}`);
  mustHold(inside, `it writes to ${destination}, which nobody declared`);
  mustHold(args.at(-2) === "." && args.indexOf(".") === args.length - 2, "more than one source");
  mustHold(args[0] === "--server", "it is no server");
  const options = args.slice(1, -2);
  for (const option of options) {
    mustHold(
      !/^--(sender|daemon|config|rsh|log-file|files-from|backup-dir|temp-dir)/.test(option),
      option,
    );
    mustHold(
      !/^--(write-devices|copy-|remove-|partial-dir=|delete$|delete-excluded)/.test(option),
      option,
    );
    mustHold(!option.includes("/") && !option.includes(".."), `a path in ${option}`);
    mustHold(/^[\x21-\x7e]+$/.test(option), `odd characters in ${option}`);
  }
  const bundles = options.filter((option) => /^-[^-]/.test(option));
  mustHold(bundles.length === 1, "one bundle of short options");
  mustHold(!/[LKksdie]/.test(bundles[0]!.replace(/e[0-9]*\.[A-Za-z]*$/, "")), bundles[0]!);
  if (origin === "slave" && !place.endsWith(STAGING_NAME)) {
    mustHold(
      /u/.test(bundles[0]!) && /b/.test(bundles[0]!),
      "the slave overwrites without a backup",
    );
    mustHold(!options.some((option) => option.startsWith("--delete")), "the slave deletes");
  }
}

function commands(): string[] {
  return [
    "hello",
    `facts ${ID}`,
    "put astdb",
    `put database ${ID}`,
    `resume hot ${ID} 12345`,
    "get astdb",
  ]
    .concat(["return database", "return list", "return apply", `file-sums ${ID} 20`, "put config"])
    .concat([`database-tunnel ${peerWords(FACTS)}`, `stream ${peerWords(FACTS)}`])
    .concat([SERVER, RETURN, STAGE].map((words) => `${rsyncVerb(FACTS)} ${words.join(" ")}`))
    .concat([`${rsyncVerb(FACTS)} --server -lre.iLsfx . /var/spool/one\\ file/`]);
}

const commandTarget = stateless({
  name: "receive-command",
  files: ["replication/receive_command.ts", "replication/logical/peer_facts.ts", "cli/receive.ts"],
  weight: 40,
  maxBytes: 9000,
  corpus: () => commands().map(bytesOf),
  words: [...ESCAPES, ...SERVER, "hello", "put ", "resume ", "rsync ", " ", "\\", "\\\\", "\\ "]
    .concat([
      ";",
      "|",
      "&",
      "$(id)",
      "`id`",
      ">",
      "<",
      "*",
      "?",
      "'",
      '"',
      "#",
      "!",
      "\\;",
      "\\$",
      "\\`",
    ]),
  feed(bytes): boolean {
    const text = textOf(bytes);
    const words = splitWords(text);
    if (words !== null) {
      // Whatever a shell would interpret must have been escaped to be there.
      const bare = text.replaceAll(/\\[^]/g, "");
      mustHold(
        !/['"$`;&|<>(){}*?!#\p{Cc}]/u.test(bare.replaceAll(/[\x80-\x9f]/g, "")),
        "a character for a shell was taken",
      );
      mustHold(
        words.every((word) => !/\p{Cc}/u.test(word.replaceAll(/[\x80-\x9f]/g, ""))),
        "a control character in a word",
      );
    }
    const verb = parseReceiveCommand(text);
    if ("refused" in verb) {
      mustHold(
        !/\p{Cc}/u.test(verb.refused.replaceAll(/[\x80-\x9f]/g, "")),
        "control characters for the log",
      );
      mustHold(verb.refused.length < 500, "a refusal that is too long");
      return false;
    }
    mustBePlain(verb);
    for (const [key, value] of Object.entries(verb)) {
      if (key === "words" || typeof value !== "string") continue;
      mustHold(/^[A-Za-z0-9:_-]+$/.test(value), `${key} is ${value}`);
    }
    if (verb.verb === "rsync") {
      mustHold(Number.isSafeInteger(verb.epoch), `epoch ${verb.epoch}`);
      checkRequest(verb.words);
    }
    if (verb.verb === "stream" || verb.verb === "database-tunnel") {
      mustEqual(parsePeerFacts(peerWords(verb.peer).split(" ")), verb.peer, "facts again");
    }
    return true;
  },
});

const rsyncTarget = stateless({
  name: "rsync-arguments",
  files: ["replication/rsync_arguments.ts", "replication/receive_rsync.ts"],
  weight: 40,
  maxBytes: 2000,
  corpus: () => [SERVER, RETURN, STAGE].map((words) => bytesOf(words.join("\n"))),
  words: [
    ...ESCAPES,
    ...SERVER.slice(1),
    ...FILES.returnPaths,
    "\n",
    "/",
    STAGING_NAME,
    "-lR",
    "-ub",
  ],
  generate(random): Uint8Array {
    const words = [...random.pick([SERVER, RETURN, STAGE])];
    for (let i = random.below(4); i >= 0; i--) {
      const word = random.pick([...ESCAPES, ...SERVER, ...RETURN, ...STAGE]);
      words.splice(random.below(words.length + 1), random.below(2), word);
    }
    return bytesOf(words.join("\n"));
  },
  feed: (bytes) => checkRequest(textOf(bytes).split("\n")),
});

/** Our own side writes only what the other takes. */
const ownRsyncTarget = stateless({
  name: "rsync-command",
  files: ["replication/rsync_arguments.ts"],
  weight: 3,
  maxBytes: 300,
  corpus: () => ["/var/lib/xivo", "/a b", "*.tmp"].map(bytesOf),
  feed(bytes, random): boolean {
    const text = textOf(bytes).replaceAll("\0", "");
    const argv = rsyncCommand({
      mode: random.pick(["copy", "return", "stage"] as const),
      path: "/var/lib/xivo",
      isDirectory: true,
      excludes: [text],
      shell: "ssh",
      host: "10.20.0.12",
      remoteVerb: rsyncVerb(FACTS),
      dryRun: random.oneIn(2),
      maxDelete: 5,
    });
    mustHold(argv.includes(`--exclude=${text}`), "an exclude is one word");
    mustHold(argv.at(-3) === "--", "paths stand behind --");
    return true;
  },
});

const remoteLineTarget = stateless({
  name: "remote-line",
  files: ["replication/remote_protocol.ts", "replication/verify/file_sums_protocol.ts"]
    .concat([
      "replication/host_facts.ts",
      "doctor/peer_call.ts",
      "replication/logical/ask_peer.ts",
    ]),
  weight: 15,
  maxBytes: 20_000,
  json: true,
  corpus(): Uint8Array[] {
    const sha256 = "a".repeat(64);
    const stamp = { epoch: 4, origin: "master", snapshotWallMs: 1.7e12, sha256, size: 45_056 };
    const outcome = returnOutcome();
    return [
      { progress: { phase: "send", bytes: 5, totalBytes: null, tablesDone: 1, tablesTotal: 3 } },
      { ok: false, kind: "refused", reason: "it serves" },
      { ok: true, size: 5, sha256, detail: { rows: 3, note: "x" } },
      { ok: true, returned: outcome },
      { ok: true, stream: { done: ["role"] } },
      { ok: true, fileSums: { files: 1, sample: [sampled(sha256)] } },
      {
        ok: true,
        role: "slave",
        fingerprint: "ab",
        daemon: { state: "standby", epoch: 4, serving: false },
        astdb: { live: stamp, received: null, newest: "live", fault: null },
        received: { astdb: { snapshotWallMs: 1, epoch: 4, lastError: null } },
      },
      { ok: true, facts: facts(), wallMs: 1.7e12 },
    ].map(jsonOf);
  },
  words: ['"ok":true', '"ok":false', '"progress"', '"stream":{}', '"returned"', '"facts"', "null"],
  feed(bytes): boolean {
    let line: RemoteLine;
    try {
      line = parseRemoteLine(bytes);
    } catch (error) {
      mustHold(error instanceof Error, "what is thrown is an Error");
      mustHold(error instanceof SyntaxError || error.name === "ZodError", `it threw ${error.name}`);
      return false;
    }
    // What the stream answers is checked by the schema of its request (logical/ask_peer.ts).
    if ("stream" in line) return true;
    mustBePlain(line);
    const again = encodeRemoteLine(line);
    mustEqual(parseRemoteLine(again.subarray(0, -1)), line, "read again");
    mustHold(!again.subarray(0, -1).includes(10), "a line with a line feed inside");
    return true;
  },
});

function sampled(sha256: string): object {
  return { path: "/var/lib/xivo/a", size: 3, changedWallMs: 1.7e12, mode: "-rw-r--r--", sha256 };
}

function facts(): object {
  const value = { value: "x" };
  return {
    ...{ version: "0.1.0", role: "slave", fingerprint: "ab", timeZone: { value: "Europe/Paris" } },
    ...{ clockSynchronised: { value: true }, systemName: { value: null }, asterisk: value },
    ...{ database: { value: null }, disks: { value: [] }, links: { value: [] } },
    ...{ missingTools: { error: "it failed" }, keyProofs: { value: ["a".repeat(64)] } },
    ...{ daemon: { state: "standby", hears: "alive" }, back: { value: null } },
  };
}

function returnOutcome(): object {
  const row = { id: "1", name: null };
  const conflict = {
    id: "0a1b2c3d",
    table: "public.a",
    key: { id: "1" },
    kind: "changed",
    why: "both",
  };
  return {
    ...{ committed: true, inserted: 1, updated: 2, deleted: 0, renumbered: 0, same: 1 },
    ...{ leftByDecision: 0, replaced: [{ table: "public.a", row }] },
    ...{ conflicts: [{ ...conflict, before: row, slave: row, master: null }], conflictCount: 1 },
  };
}

/** JSON that a schema checks: what is accepted is plain and is accepted again as it is. */
function schemaTarget(
  name: string,
  files: readonly string[],
  corpus: readonly unknown[],
  schemas: readonly { safeParse(value: unknown): { success: boolean; data?: unknown } }[],
  check: (value: unknown) => void = () => {},
): Target {
  return stateless({
    name,
    files,
    weight: 8,
    maxBytes: 20_000,
    json: true,
    corpus: () => corpus.map(jsonOf),
    words: ["null", "true", "{", "}", "[", "]", ",", ":", '"..', "/../", '"/etc"', "\\u0000", '"'],
    feed(bytes): boolean {
      const json = orRefused(() => JSON.parse(textOf(bytes)) as unknown, SyntaxError);
      if (json === null) return false;
      let accepted = false;
      for (const schema of schemas) {
        const parsed = schema.safeParse(json.value);
        if (!parsed.success) continue;
        accepted = true;
        mustBePlain(parsed.data);
        mustEqual(schema.safeParse(parsed.data).data, parsed.data, "checked again");
        check(parsed.data);
      }
      return accepted;
    },
  });
}

const HEADER = { version: 1, set: "astdb", ...FACTS, detail: { schema: "x", tables: 3 } };

function mustBeSound(value: unknown): void {
  const { epoch, detail, size } = value as { epoch?: number; detail?: object; size?: number };
  mustHold(epoch === undefined || (Number.isSafeInteger(epoch) && epoch >= 0), `epoch ${epoch}`);
  mustHold(size === undefined || (Number.isSafeInteger(size) && size >= 0), `size ${size}`);
  mustHold(Object.keys(detail ?? {}).length <= 64, "too many details");
}

const ENTRY = { kind: "f", size: 3, mtime: "1700000000.000000000" };
const ORDER = [{
  path: "/var/spool/asterisk/voicemail",
  puts: [{
    from: "default/100/INBOX/msg0000.wav",
    to: "default/100/INBOX/msg0001.wav",
    over: ENTRY,
  }],
  asides: [{ name: "default/100/Old/msg0000.txt", was: ENTRY }],
  conflicts: [{ name: "a", what: "changed on both", slave: ENTRY, master: null }],
}];
const LIST = [{
  path: "/var/spool/asterisk/voicemail",
  kind: "directory",
  rows: [["default/100/INBOX/msg0000.wav", "f", 3, ENTRY.mtime], ["a", "l", 0, "-1.000000000"]],
}];

/** Every name in an order stays below its directory, links aside (they are looked at on the spot). */
function mustStayBelow(value: unknown): void {
  for (const one of value as typeof ORDER) {
    if (!Array.isArray(one.puts)) continue;
    const names = [
      ...one.puts.flatMap(({ from, to }) => [from, to]),
      ...one.asides.map((a) => a.name),
    ];
    for (const name of names) {
      const place = join("/d/e", name);
      mustHold(place.startsWith("/d/e/") && place === `/d/e/${name}`, `${name} leads to ${place}`);
      mustHold(!name.includes("\0"), "a NUL in a name");
    }
  }
}

/** The plan that follows from a hostile master's list names nothing that only the master says. */
function mustMergeSoundly(value: unknown): void {
  for (const { rows } of value as typeof LIST) {
    if (!Array.isArray(rows)) continue;
    const slave = treeOf([["a", "f", 1, ENTRY.mtime], [
      "default/100/INBOX/msg0000.wav",
      "f",
      9,
      "1.0",
    ]]);
    // deno-lint-ignore no-explicit-any
    const plan = mergeReturn({ base: slave, slave, master: treeOf(rows as any) });
    for (const { from } of plan.puts) mustHold(slave.has(from), `${from} is sent and is not here`);
  }
}

const changeTexts = [
  "BEGIN 1234",
  "COMMIT 1234",
  "table public.queue_log: INSERT: id[integer]:1 name[character varying]:'it''s' data[text]:null",
  `table public."odd ""name": UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 t[text[]]:'{a,b}'`,
  "table public.a: DELETE: (no-tuple-data)",
  `table public.a: UPDATE: id[integer]:1 big[text]:unchanged-toast-datum b[bit]:B'0101' "c d"[xml]:'<a/>'`,
  "table public.a, public.b: TRUNCATE: (no-flags)",
];

const changeTarget = stateless({
  name: "test-decoding",
  files: ["replication/return/decode.ts"],
  weight: 15,
  maxBytes: 20_000,
  corpus: () => changeTexts.map(bytesOf),
  words: [
    "table ",
    ": INSERT:",
    ": UPDATE:",
    ": DELETE:",
    ": TRUNCATE: ",
    " old-key:",
    " new-tuple:",
  ]
    .concat([
      "[integer]:",
      "[text]:",
      "null",
      "unchanged-toast-datum",
      "''",
      "'",
      '""',
      '"',
      "[",
      "]",
    ])
    .concat([" \"__proto__\"[text]:'x'", "B'", ".", ":", " (no-tuple-data)", " "]),
  generate: (random) => bytesOf(changeLine(random).line),
  feed(bytes, random): boolean {
    const made = changeLine(random);
    const read = decodeChange(made.line);
    mustEqual(
      read !== null && "new" in read ? Object.entries(read.new ?? {}) : null,
      made.row,
      made.line,
    );
    const change = orRefused(() => decodeChange(textOf(bytes)), SyntaxError)?.value ?? null;
    if (change === null) return false;
    if (change.kind === "TRUNCATE") return true;
    for (const row of [change.old, change.new]) {
      mustHold(JSON.stringify(row).length < 10 * bytes.length + 1000, "more than was said");
    }
    return true;
  },
});

/** A row as PostgreSQL's `test_decoding` writes it (print_literal() and quote_identifier()), and what it means. */
function changeLine(random: Random): { line: string; row: [string, string | null][] } {
  const names = ["id", "a b", 'q"q', "[x]:", "__proto__", "constructor", "new-tuple:", "ä", "null"];
  const row = new Map<string, string | null>();
  let text = "";
  for (let i = random.below(5); i >= 0; i--) {
    const name = random.pick(names);
    if (row.has(name)) continue;
    const value = random.pick([
      "",
      "x",
      "it's",
      "null",
      "a' b[text]:'c",
      "\\",
      '"',
      null,
      " ",
      "ü",
    ]);
    row.set(name, value);
    const quoted = /^[a-z_][a-z0-9_]*$/.test(name) && name !== "null"
      ? name
      : `"${name.replaceAll('"', '""')}"`;
    const type = random.pick(["text", "character varying", "text[]", '"My ""Type"""']);
    text += ` ${quoted}[${type}]:${value === null ? "null" : `'${value.replaceAll("'", "''")}'`}`;
  }
  return { line: `table public.a: INSERT:${text}`, row: [...row] };
}

const manifestTarget = stateless({
  name: "database-manifest",
  files: ["replication/database_manifest.ts", "replication/database_payload.ts"],
  weight: 10,
  maxBytes: 20_000,
  json: true,
  corpus: () => [jsonOf(MANIFEST), encodeManifest(MANIFEST)],
  words: ['"format":1', '"rows"', "null", "{", "}", "[", "]", ",", '"sums"'],
  mend(bytes, random): Uint8Array {
    if (random.oneIn(2)) return bytes;
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length);
    return concat(length, bytes);
  },
  feed(bytes): boolean {
    const length = orRefused(() => decodeManifestLength(bytes), ManifestError)?.value ?? null;
    if (length !== null) mustHold(length >= 0 && length <= 16 * 1024 * 1024, `length ${length}`);
    for (const json of [bytes, bytes.subarray(4, 4 + (length ?? 0))]) {
      const manifest = orRefused(() => decodeManifest(json), ManifestError)?.value ?? null;
      if (manifest === null) continue;
      mustBePlain(manifest);
      const again = encodeManifest(manifest);
      mustEqual(decodeManifestLength(again), again.length - 4, "length again");
      mustEqual(decodeManifest(again.subarray(4)), manifest, "manifest again");
      return true;
    }
    return false;
  },
});

const MANIFEST: Parameters<typeof encodeManifest>[0] = {
  format: 1,
  serverVersionNum: 150_018,
  databaseBytes: 12_345,
  locale: { encoding: "UTF8", collate: "C", ctype: "C", provider: "c", locale: null },
  properties: {
    owner: "asterisk",
    connectionLimit: -1,
    comment: null,
    settings: [{ role: null, config: ["work_mem=4MB"] }],
    grants: [{ grantee: null, privilege: "CONNECT", grantable: false }],
  },
  roles: ["asterisk"],
  extensions: ["plpgsql"],
  rows: { '"public"."a"': 3 },
  largeObjects: 0,
  excluded: [],
  schema: { "table public.a": "abc" },
  sums: [{ table: '"public"."a"', column: "id", from: "1", to: "9", rows: 3, sum: "123" }],
};

const workerTarget = stateless({
  name: "worker-arguments",
  files: ["replication/database_protocol.ts", "replication/database_client.ts"]
    .concat(["replication/database_worker.ts"]),
  weight: 4,
  maxBytes: 2000,
  json: true,
  corpus: () => [
    bytesOf(
      workerArguments({
        socketDir: "/run/postgresql",
        port: 5432,
        role: "postgres",
        database: "a",
      })[1]!,
    ),
  ],
  feed(bytes): boolean {
    const address = orRefused(() => parseWorkerArguments([textOf(bytes)]), TypeError)?.value ??
      null;
    if (address === null) return false;
    mustEqual(Object.keys(address).sort(), ["database", "port", "role", "socketDir"], "keys");
    mustEqual(parseWorkerArguments(workerArguments(address).slice(1)), address, "again");
    return true;
  },
});

const ROW = { id: "1", name: null };
const RETURN_ROWS = [
  { table: "public.a", append: false, key: { id: "1" }, before: null, after: ROW },
  {
    total: 3,
    tables: ["public.a"],
    sequences: [{ name: "s", value: "5" }],
    decisions: {},
    commit: "trial",
  },
  { "0a1b2c3d": "master", all: "both" },
  returnOutcome(),
];

/** `entry` of `return_tables`: from the configuration, and shown by the peer. */
const returnTableTarget = stateless({
  name: "return-table",
  files: ["replication/return/return_types.ts"],
  weight: 2,
  maxBytes: 300,
  corpus: () => ["append:cel", "replace:queue_log", "voicemail", "public.stat_*"].map(bytesOf),
  words: ["append:", "replace:", "public.", "*", ":"],
  feed(bytes): boolean {
    const text = textOf(bytes);
    const { pattern } = parseReturnTable(text);
    if (!text.endsWith(pattern)) throw new Finding(`the pattern ${pattern} was not typed`);
    return true;
  },
});

/** All of them. */
export const RECEIVE_TARGETS: readonly Target[] = [
  commandTarget,
  rsyncTarget,
  ownRsyncTarget,
  remoteLineTarget,
  schemaTarget(
    "set-header",
    ["replication/set_header.ts"],
    [HEADER, { ...HEADER, set: "database", detail: {} }, { size: 5, sha256: "b".repeat(64) }],
    [setHeaderSchema, setTrailerSchema],
    mustBeSound,
  ),
  schemaTarget(
    "return-order",
    ["replication/return_protocol.ts", "replication/receive_return.ts"],
    [ORDER],
    [returnOrderSchema],
    mustStayBelow,
  ),
  schemaTarget(
    "return-list",
    ["replication/return_protocol.ts", "replication/return_send.ts", "replication/return_merge.ts"],
    [LIST],
    [returnListSchema],
    mustMergeSoundly,
  ),
  schemaTarget(
    "return-rows",
    ["replication/return/receive_return.ts", "replication/return/return_send.ts"]
      .concat(["replication/return/return_types.ts"]),
    RETURN_ROWS,
    [rowChangeSchema, returnHeadSchema, decisionsSchema, returnOutcomeSchema],
  ),
  schemaTarget(
    "stream-request",
    ["replication/logical/request.ts", "replication/logical/receive_stream.ts"],
    [{ op: "note", sequences: [] }, { op: "facts" }, { op: "prepare" }, { op: "teardown" }],
    [streamRequestSchema],
  ),
  changeTarget,
  manifestTarget,
  workerTarget,
  returnTableTarget,
];
