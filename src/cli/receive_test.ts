import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { sampleStatus } from "../../tests/support/health_sample.ts";
import { poll } from "../../tests/support/poll.ts";
import { loadConfig } from "../config/load.ts";
import type { DataSetName } from "../core/types.ts";
import { createControlApp, type ReceivedResult } from "../health/control_app.ts";
import { ControlServer } from "../health/control_server.ts";
import { systemClock } from "../os/clock.ts";
import { spawnTool } from "../os/process.ts";
import { listFiles } from "../replication/file_list.ts";
import { rsyncVerb } from "../replication/receive_command.ts";
import { writeSetStream } from "../replication/stream.ts";

const DEADLINE_MS = 60_000;

/** How one `relais receive` ended. */
interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A real `relais receive` process. */
class Receive {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #output: Promise<readonly [string, string]>;

  constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#input = process.stdin.getWriter();
    const { stdout, stderr } = process;
    this.#output = Promise.all([new Response(stdout).text(), new Response(stderr).text()]);
  }

  /** Gives it these bytes and leaves its input open. */
  async give(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#input.write(bytes).catch(() => {}); // It may refuse before it has read.
  }

  async closeInput(): Promise<void> {
    await this.#input.close().catch(() => {}); // It has ended.
  }

  /** Whether it has started a program that runs. */
  get hasChild(): boolean {
    const { pid } = this.#process;
    return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim() !== "";
  }

  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  async ended(): Promise<Ended> {
    const { code } = await this.#process.status;
    await this.closeInput();
    const [stdout, stderr] = await this.#output;
    return { code, stdout, stderr };
  }

  /** For one that was killed while what it started lives on, with its outputs. */
  async gone(): Promise<void> {
    await this.#process.status;
  }
}

/** A slave at rest: configuration, state, and a control socket with a daemon behind it. */
class Slave {
  readonly begun: string[] = [];
  /** The epochs that it was asked about; of a set that goes on it is asked again each two seconds. */
  readonly asked = new Set<number>();
  #streams = 0;
  readonly ends: ReceivedResult[] = [];
  /** Null: the daemon permits all. */
  refusal: string | null = null;
  readonly #server: ControlServer;

  private constructor(readonly folder: string, readonly fingerprint: string) {
    const yes = { ok: true, text: "done" };
    const app = createControlApp({
      status: () => sampleStatus(),
      history: () => [],
      command: () => yes,
      announce: () => yes,
      reload: () => Promise.reject(new Error("not asked for here")),
      sync: () => Promise.resolve(yes),
      returning: () => Promise.reject(new Error("not in this test")),
      fence: ({ action }) =>
        Promise.resolve({ ok: action !== "off", text: action, power: "unknown" as const }),
      receiveBegin: ({ set, epoch }) => {
        this.begun.push(set);
        this.asked.add(epoch);
        return this.refusal === null ? yes : { ok: false, text: this.refusal };
      },
      receiveEnd: (result) => {
        this.ends.push(result);
      },
    });
    const path = `${folder}/run/control.sock`;
    this.#server = new ControlServer({ app, path, onError: (error) => assert.fail(error) });
  }

  static async make(): Promise<Slave> {
    const folder = await Deno.makeTempDir({ prefix: "rlr" });
    await Deno.mkdir(`${folder}/state`);
    await Deno.mkdir(`${folder}/sounds`);
    await Deno.writeTextFile(`${folder}/relais.toml`, configText(folder));
    await Deno.writeTextFile(
      `${folder}/state/state.json`,
      JSON.stringify({ version: 1, epoch: 1, role: "slave", failbackHeld: false }),
    );
    const { fingerprint } = await loadConfig(`${folder}/relais.toml`);
    const slave = new Slave(folder, fingerprint);
    await slave.#server.start();
    return slave;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop();
    await Deno.remove(this.folder, { recursive: true });
  }

  receive(command: string): Receive {
    const { folder } = this;
    const main = new URL("../main.ts", import.meta.url).pathname;
    const places = ["--config", `${folder}/relais.toml`, "--state-dir", `${folder}/state`];
    return new Receive(spawnTool(Deno.execPath(), {
      args: ["run", "-A", "--quiet", main, "receive", ...places, "--run-dir", `${folder}/run`],
      env: { SSH_ORIGINAL_COMMAND: command, NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }));
  }

  /** A set stream of the master's. */
  async stream(
    set: DataSetName,
    payload: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { fingerprint } = this;
    const parts: Uint8Array<ArrayBuffer>[] = [];
    const sink = new WritableStream<Uint8Array>({
      write: (part) => void parts.push(part.slice()),
    });
    this.#streams += 1; // Each stream has an epoch of its own, by which it is known.
    const epoch = this.#streams;
    const facts = { epoch, origin: "master", snapshotWallMs: 1_700_000_000_000 } as const;
    const header = { version: 1, set, ...facts, fingerprint, detail: {} } as const;
    await writeSetStream(sink, header, new Blob([payload]).stream(), { clock: systemClock });
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  /** One that has taken the beginning of an astdb and waits for the rest. */
  async halfway(): Promise<Receive> {
    const whole = await this.stream("astdb", new Uint8Array(100_000));
    const receive = this.receive("put astdb");
    await receive.give(whole.slice(0, 50_000));
    await this.until("it has begun", () => this.parts().length === 1);
    return receive;
  }

  parts(): readonly string[] {
    try {
      return [...Deno.readDirSync(`${this.folder}/state/spool/astdb`)].map(({ name }) => name);
    } catch {
      return []; // Nothing was received yet.
    }
  }

  async until(what: string, look: () => boolean): Promise<void> {
    await poll(look, { deadlineMs: DEADLINE_MS, what, instead: () => this.parts().join(" ") });
  }
}

function configText(folder: string): string {
  return `
    [cluster]
    name = "test"
    [[networks]]
    name = "voip"
    master = "192.0.2.11"
    slave = "192.0.2.12"
    prefix = 24
    [services]
    driver = "systemd"
    units = ["asterisk.service"]
    [replication.astdb]
    path = "${folder}/astdb.sqlite3"
    [replication.files]
    paths = ["${folder}/sounds"]
  `;
}

/** A sound astdb. */
async function astdb(): Promise<Uint8Array<ArrayBuffer>> {
  const path = await Deno.makeTempFile();
  const database = new DatabaseSync(path);
  database.exec("CREATE TABLE astdb(key TEXT PRIMARY KEY, value TEXT)");
  database.close();
  const bytes = await Deno.readFile(path);
  await Deno.remove(path);
  return bytes;
}

/** Runs one to its end with everything it needs. */
async function put(
  slave: Slave,
  set: DataSetName,
  payload: Uint8Array<ArrayBuffer>,
): Promise<Ended> {
  const receive = slave.receive(`put ${set}`);
  await receive.give(await slave.stream(set, payload));
  return await receive.ended();
}

/** The proof that follows the rsyncs of the set `files`. */
async function putFiles(slave: Slave): Promise<Ended> {
  const files = { everyMs: 1, paths: [`${slave.folder}/sounds`], excludes: [], returnPaths: [] };
  const { sha256, bytes, files: count } = await listFiles(
    files.paths,
    files,
    new AbortController().signal,
  );
  const summary = JSON.stringify({ sha256, files: count, bytes, failed: [] });
  return await put(slave, "files", new TextEncoder().encode(summary));
}

Deno.test("relais receive refuses a second copy of a set until the first has ended, however that ends", async () => {
  await using slave = await Slave.make();
  const first = await slave.halfway();

  const second = await put(slave, "astdb", await astdb());
  assert.equal(second.code, 77, second.stderr);
  assert.match(second.stdout, /"kind":"refused".*another copy of it is being received here/);
  assert.match(second.stderr, /^relais receive: Cannot take in the astdb as another copy/m);
  assert.equal(slave.asked.size, 1, "the daemon was not even asked");
  const other = await putFiles(slave);
  assert.equal(other.code, 0, other.stderr);

  first.kill("SIGKILL");
  await first.ended();
  const third = await put(slave, "astdb", await astdb());
  assert.equal(third.code, 0, third.stderr);
  assert.ok(slave.parts().every((name) => !name.endsWith(".part")), slave.parts().join(" "));
});

Deno.test("relais receive refuses while an rsync goes on that a killed one has left behind", async () => {
  await using slave = await Slave.make();
  const { fingerprint, folder } = slave;
  const facts = { epoch: 1, origin: "master", snapshotWallMs: 1, fingerprint } as const;
  const options = "--server -vlHogDtpAXre.iLsfxCIvu --numeric-ids --timeout=60";
  const words = `${rsyncVerb(facts)} ${options} . ${folder}/sounds/`;
  const first = slave.receive(words);
  await slave.until("rsync runs", () => slave.begun.length > 0 && first.hasChild);
  assert.match((await putFiles(slave)).stderr, /the files as another copy of it is being received/);
  const second = slave.receive(words);
  assert.equal((await second.ended()).code, 77);

  first.kill("SIGKILL");
  await first.gone();
  const meanwhile = await putFiles(slave);
  await first.closeInput(); // What ends the rsync.
  assert.equal(meanwhile.code, 77, "the rsync of the killed one is still there");
  await first.ended();
  const last = await putFiles(slave);
  assert.equal(last.code, 0, last.stderr);
});

for (const name of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
  Deno.test(`relais receive ends at ${name}: leaves nothing behind, says why, tells the daemon`, async () => {
    await using slave = await Slave.make();
    const asked = `Cannot go on as relais receive was asked to end (${name})`;
    const receive = await slave.halfway();
    receive.kill(name);
    const { code, stdout } = await receive.ended();
    assert.equal(code, 74);
    const line = { ok: false, kind: "failed", reason: asked };
    assert.equal(stdout.trim().split("\n").at(-1), JSON.stringify(line));
    assert.deepEqual(slave.parts(), []);
    assert.deepEqual(slave.ends.map(({ ok, reason }) => [ok, reason]), [[false, asked]]);
    const state = await Deno.readTextFile(`${slave.folder}/state/sets/astdb.received.json`);
    assert.equal(JSON.parse(state).lastError, asked);
  });
}

Deno.test("relais receive ends when the daemon withdraws its word, also while the sender is silent", async () => {
  await using slave = await Slave.make();
  const receive = await slave.halfway();
  slave.refusal = "Cannot take in astdb as this node is taking over";
  const { code, stderr } = await receive.ended();
  assert.equal(code, 77);
  assert.match(stderr, /as this node is taking over/);
  assert.deepEqual(slave.parts(), []);
});

Deno.test("relais receive ends at SIGHUP also before the sender has said anything", async () => {
  await using slave = await Slave.make();
  const receive = slave.receive("put astdb");
  const lock = `${slave.folder}/state/spool/astdb.lock`;
  await slave.until("it waits", () => {
    try {
      return Deno.statSync(lock).isFile;
    } catch {
      return false;
    }
  });
  receive.kill("SIGHUP");
  const { code, stderr } = await receive.ended();
  assert.equal(code, 74);
  assert.match(stderr, /asked to end \(SIGHUP\)/);
  assert.deepEqual(slave.begun, []);
});

Deno.test("relais receive ends in order when nobody reads what it says any more", async () => {
  await using slave = await Slave.make();
  const whole = await slave.stream("astdb", new Uint8Array(100_000));
  const main = new URL("../main.ts", import.meta.url).pathname;
  // `sh` closes both outputs' readers at once, as sshd does when its client is gone.
  const script = `exec 3<&0; { "$@" <&3 2>&1 & echo $! >"${slave.folder}/pid"; wait; } | true`;
  const { folder } = slave;
  const places = ["--config", `${folder}/relais.toml`, "--state-dir", `${folder}/state`];
  const shell = new Receive(spawnTool("sh", {
    args: [
      ...["-c", script, "sh", Deno.execPath(), "run", "-A", "--quiet", main, "receive"],
      ...[...places, "--run-dir", `${folder}/run`],
    ],
    env: { SSH_ORIGINAL_COMMAND: "put astdb", NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }));
  await shell.give(whole.slice(0, 50_000));
  await slave.until("it has begun", () => slave.parts().length === 1);
  Deno.kill(Number(await Deno.readTextFile(`${folder}/pid`)), "SIGHUP");
  await slave.until("the daemon is told", () => slave.ends.length === 1);
  await shell.ended();
  assert.deepEqual(slave.parts(), []);
});
