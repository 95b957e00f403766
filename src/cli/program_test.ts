import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run } from "../os/process.ts";
import { createProgram } from "./program.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const VERBS = [
  "daemon",
  "receive",
  "status",
  "switchover",
  "failback",
  "maintenance",
  "reload",
  "sync",
  "fence",
  "return",
  "stream",
  "announce",
  "init",
  "pair",
  "check-config",
  "doctor",
  "keygen",
  "cleanup",
  "version",
  "verify",
  "drill",
  "arbiter",
];

/** The program itself, as a process of its own. */
function relais(...args: string[]): ReturnType<typeof run> {
  const argv = [Deno.execPath(), "run", "--quiet", "--no-check", "-A", MAIN, ...args];
  return run(argv, { deadlineMs: 60_000 });
}

function program(chosen: () => void = () => {}): ReturnType<typeof createProgram> {
  return createProgram({ daemon: null, abort: new AbortController() }, chosen);
}

Deno.test("relais --help lists every verb and exits with 0", async () => {
  const { code, stdout } = await relais("--help");
  assert.equal(code, 0);
  for (const verb of VERBS) assert.match(stdout, new RegExp(`^ {2}${verb}\\b`, "m"), verb);
});

Deno.test("createProgram() has these verbs, each with a description and --help", () => {
  assert.deepEqual(program().commands.map((command) => command.name()), VERBS);
  for (const command of program().commands) {
    assert.notEqual(command.description(), "");
    assert.match(command.helpInformation(), /-h, --help/);
  }
});

Deno.test("createProgram() chooses a verb for good arguments and runs none by itself", () => {
  for (
    const args of [
      ["daemon", "--log-level", "debug", "--config", "/x", "--key", "/k"],
      ["status", "--json", "--watch"],
      ["switchover", "--wait", "0"],
      ["maintenance", "on"],
      ["sync"],
      ["sync", "astdb", "--json"],
      ["check-config", "/x.toml", "--role", "slave", "--host"],
      ["receive", "rsync", "1", "master", "--server", "-x"],
      ["init", "--slave", "voip=10.20.0.12", "--slave", "data=10.30.0.12", "--yes"],
      ["pair", "admin@10.20.0.12", "--dry-run"],
      ["pair", "--remove", "--local", "--yes"],
    ]
  ) {
    let count = 0;
    program(() => count++).parse(args, { from: "user" });
    assert.equal(count, 1, args.join(" "));
  }
});

Deno.test("relais ends with 64 and says what is wrong for arguments that it does not understand", async () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /Usage: relais/],
    [["swichover"], /unknown command 'swichover'[^]*switchover/],
    [["status", "--colour"], /unknown option '--colour'/],
    [["status", "now"], /too many arguments/],
    [["sync", "everything"], /Allowed choices are astdb, database, config, hot, files, all/],
    [["maintenance"], /missing required argument/],
    [["switchover", "--wait", "soon"], /it is a number of seconds, 0 or more/],
    [["switchover", "--wait=-1"], /it is a number of seconds, 0 or more/],
    [["daemon", "--log-level", "loud"], /Allowed choices are debug/],
    [["init", "--vip", "10.20.0.10"], /it is NETWORK=VALUE/],
    [["pair", "-x@10.20.0.12", "--yes"], /unknown option/],
    [["pair", "ROOT@10.20.0.12", "--yes"], /is not \[USER@\]HOST/],
    [["pair"], /there is no terminal to ask on/],
  ];
  for (const [args, said] of wrong) {
    const { code, stdout, stderr } = await relais(...args);
    assert.equal(code, 64, args.join(" "));
    assert.match(stderr, said);
    assert.equal(stdout, "", "what a script reads stays empty");
  }
});

Deno.test("relais --version and version say how the program was built", async () => {
  const [line, text, json] = await Promise.all([
    relais("--version"),
    relais("version"),
    relais("version", "--json"),
  ]);
  assert.deepEqual([line.code, text.code, json.code], [0, 0, 0]);
  assert.match(line.stdout, /^relais \d+\.\d+\.\d+/);
  assert.match(text.stdout, /^relais .+\ncommit .+\nDeno .+\n$/);
  assert.equal(typeof JSON.parse(json.stdout).label, "string");
});

Deno.test("verbs that need the daemon end with 69 and say what to do when it does not run", async () => {
  const folder = await Deno.makeTempDir({ prefix: "relais-" });
  try {
    for (
      const verb of [
        ["status"],
        ["switchover"],
        ["failback"],
        ["maintenance", "on"],
        ["fence", "test"],
        ["sync"],
        [
          "announce",
        ],
      ]
    ) {
      const { code, stdout, stderr } = await relais(...verb, "--run-dir", folder);
      assert.equal(code, 69, verb.join(" "));
      assert.match(stderr, /^relais: relais is not running on this host .*systemctl start relais/);
      assert.equal(stdout, "");
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("relais keygen makes a private key file once, and never replaces it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "relais-" });
  try {
    const path = `${folder}/cluster.key`;
    const first = await relais("keygen", path);
    assert.equal(first.code, 0, first.stderr);
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
    const key = Deno.readTextFileSync(path);
    const second = await relais("keygen", path);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /exists/);
    assert.equal(Deno.readTextFileSync(path), key);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("relais daemon ends with 66 without a configuration, with 65 when it is refused", async () => {
  const folder = await Deno.makeTempDir({ prefix: "relais-" });
  const places = ["--state-dir", folder, "--run-dir", folder, "--key", `${folder}/key`];
  try {
    const config = `${folder}/relais.toml`;
    const absent = await relais("daemon", "--config", config, ...places);
    assert.equal(absent.code, 66, absent.stderr);
    Deno.writeTextFileSync(config, "[cluster]\ncolour = 1\n");
    const refused = await relais("daemon", "--config", config, ...places);
    assert.equal(refused.code, 65, refused.stderr);
    assert.match(refused.stderr, /cluster\.colour/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
