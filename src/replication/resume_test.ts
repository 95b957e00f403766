import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { systemClock } from "../os/clock.ts";
import type { DatabaseSource } from "./database_port.ts";
import { WINDOW_BYTES } from "./lasting_pipe.ts";
import { DATABASE, Pair, putRows, waitFor } from "./peer_fixture.ts";
import type { Replicator } from "./replicator.ts";

const signal = new AbortController().signal;
const PART = new TextEncoder().encode(`${"0123456789abcdef".repeat(2047)}0123456789abcde\n`);

/** A dump that goes on until the test says that it is enough. */
class LongDump implements DatabaseSource {
  readonly #hash = createHash("sha256");
  bytes = 0;
  starts = 0;
  enough = false;

  dump(): ReturnType<DatabaseSource["dump"]> {
    this.starts += 1;
    const payload = new ReadableStream<Uint8Array>({
      pull: async (controller): Promise<void> => {
        if (this.enough) return controller.close();
        await systemClock.sleep(2);
        this.#hash.update(PART);
        this.bytes += PART.length;
        controller.enqueue(PART.slice());
      },
    }, { highWaterMark: 0 });
    return Promise.resolve({ detail: { tables: 3 }, payload, done: Promise.resolve() });
  }

  install(): never {
    throw new Error("this host sends");
  }

  cleanupLeftovers(): Promise<void> {
    return Promise.resolve();
  }

  get sha256(): string {
    return this.#hash.copy().digest("hex");
  }
}

/** Processes below `root` (a path that only this test uses) whose command line matches. */
function processes(pattern: RegExp): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^[0-9]+$/.test(name)) continue;
    try {
      const text = Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ");
      if (pattern.test(text)) found.push(Number(name));
    } catch {
      // It has just ended.
    }
  }
  return found.filter((pid) => pid !== Deno.pid);
}

/** Process ids of the sshd sessions in the peer's namespace: children of its listening sshd. */
function sessions(pair: Pair): number[] {
  const parents = new Set(processes(new RegExp(`^sshd: .*${pair.at("sshd_config")}`)));
  return processes(/^sshd: /).filter((pid) => {
    try {
      const parent = /^PPid:\s+([0-9]+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
      return parents.has(Number(parent));
    } catch {
      return false;
    }
  });
}

async function withCopy(
  body: (
    given: { pair: Pair; dump: LongDump; replicator: Replicator; copying: Promise<unknown> },
  ) => Promise<void>,
): Promise<void> {
  const pair = await Pair.make("master");
  const dump = new LongDump();
  const replicator = pair.replicator({
    config: pair.config({ database: DATABASE }),
    database: dump,
  });
  try {
    await pair.writeConfig({ database: DATABASE });
    const copying = replicator.sync("database", { signal });
    copying.catch(() => {});
    await waitFor(() => pair.gateLog().includes("begin database"), "the copy runs");
    await body({ pair, dump, replicator, copying });
  } finally {
    dump.enough = true;
    await replicator.stop();
    await pair.end();
  }
}

const CUTS: Readonly<Record<string, (pair: Pair) => number>> = {
  "the ssh of the copy is killed": (pair) => {
    const pids = processes(new RegExp(`${pair.at("key")}.*(put|resume) database`))
      .filter((pid) => Deno.readTextFileSync(`/proc/${pid}/comm`).trim() === "ssh");
    for (const pid of pids) Deno.kill(pid, "SIGKILL");
    return pids.length;
  },
  "the kept connection is killed": (pair) => {
    const pids = processes(new RegExp(`^ssh: ${pair.at("run")}/ssh-.*\\[mux\\]`));
    for (const pid of pids) Deno.kill(pid, "SIGKILL");
    return pids.length;
  },
  "the peer's sshd ends all its sessions": (pair) => {
    const pids = sessions(pair);
    for (const pid of pids) Deno.kill(pid, "SIGKILL");
    return pids.length;
  },
  "the line is silent": (pair) => {
    const pids = sessions(pair);
    for (const pid of pids) Deno.kill(pid, "SIGSTOP");
    return pids.length;
  },
};

for (const [name, cut] of Object.entries(CUTS)) {
  Deno.test(`a copy goes on where it was: ${name}`, async () => {
    await withCopy(async ({ pair, dump, copying }) => {
      // One that comes back may break again.
      for (let time = 0; time < (name.includes("killed") ? 2 : 1); time++) {
        assert.ok(cut(pair) > 0, "nothing was cut");
        const before = dump.bytes;
        // More than the window and the pipes hold: it can only be written when somebody reads it.
        await waitFor(() => dump.bytes > before + WINDOW_BYTES + 1_000_000, "it goes on");
      }
      dump.enough = true;
      const state = await copying as { readonly sha256: string; readonly size: number };
      assert.equal(dump.starts, 1, "it began anew");
      assert.equal(state.size, dump.bytes);
      assert.equal(state.sha256, dump.sha256);
      const there = await Deno.readFile(pair.at("peer/database"));
      assert.equal(createHash("sha256").update(there).digest("hex"), dump.sha256);
      assert.equal(pair.gateLog().match(/^begin database/gm)?.length, 1);
      assert.match(pair.gateLog(), /^end database true/m);
      await waitFor(
        () => [...Deno.readDirSync(pair.at("peer/run/copies"))].length === 0,
        "no socket is left",
      );
    });
  });
}

Deno.test("a receiver that waits for its connection ends at once when its node begins to serve", async () => {
  await withCopy(async ({ pair, copying }) => {
    const outcome = assert.rejects(copying, /it takes over|waits here no longer/);
    // Nobody can come back.
    await Deno.rename(pair.at("authorized_keys"), pair.at("nobody"));
    CUTS["the peer's sshd ends all its sessions"]!(pair);
    await pair.setGate({ daemon: pair.peerDaemon("taking-over"), refusal: "it takes over" });
    await waitFor(() => pair.gateLog().includes("end database false it takes over"), "it ends");
    await Deno.rename(pair.at("nobody"), pair.at("authorized_keys"));
    await outcome;
    await assert.rejects(Deno.stat(pair.at("peer/database")), Deno.errors.NotFound);
  });
});

Deno.test("a sender that begins anew does not wait for what still waits for it", async () => {
  await withCopy(async ({ pair, replicator, copying }) => {
    await Deno.rename(pair.at("authorized_keys"), pair.at("nobody"));
    CUTS["the peer's sshd ends all its sessions"]!(pair);
    await replicator.stop(); // As when its daemon is killed: it can't tell the peer.
    await assert.rejects(copying);
    await Deno.rename(pair.at("nobody"), pair.at("authorized_keys"));
    const next = new LongDump();
    next.enough = true;
    const again = pair.replicator({ config: pair.config({ database: DATABASE }), database: next });
    await again.sync("database", { signal });
    assert.match(pair.gateLog(), /^end database false .*it begins a new copy/m);
    await again.stop();
  });
});

Deno.test("resume leads to the copy of that id and nowhere else", async () => {
  await withCopy(async ({ pair, dump, copying }) => {
    const transport = pair.transport();
    const [socket] = [...Deno.readDirSync(pair.at("peer/run/copies"))].map(({ name }) => name);
    const id = /^database-([0-9a-f]{32})\.sock$/.exec(socket ?? "")?.[1];
    assert.ok(id !== undefined, socket);
    assert.equal(Deno.statSync(pair.at("peer/run/copies")).mode! & 0o777, 0o700);
    for (
      const verb of [
        `resume astdb ${id} 0`,
        `resume database ${"0".repeat(32)} 0`,
        `resume database ../${id} 0`,
        `resume database ${id} -1`,
        `resume database ${id}`,
        `put database ${id}/../x`,
      ]
    ) {
      const remote = await transport.openRemote(verb, { signal, deadlineMs: 30_000 });
      await remote.stdin.close().catch(() => {});
      await assert.rejects(transport.result(remote), /The peer says: Cannot/, verb);
    }
    dump.enough = true;
    await copying;
    await transport.close();
  });
});

Deno.test("one connection carries verbs, sets and rsync; it is there after a pause, and made again when broken", async () => {
  const pair = await Pair.make("master");
  const replicator = pair.replicator();
  try {
    for (const name of ["sounds", "etc"]) {
      await Deno.mkdir(`${pair.at("shared")}/${name}`);
      await Deno.writeTextFile(`${pair.at("shared")}/${name}/a`, name);
    }
    putRows(pair.at("shared/astdb.sqlite3"), { "/a": "1" });
    const all = async (): Promise<void> => {
      await replicator.checkTransport({ signal });
      await replicator.sync("astdb", { signal });
      await replicator.sync("files", { signal });
    };
    await all();
    const [first, ...others] = sessions(pair);
    assert.ok(first !== undefined && others.length === 0, "one connection");
    // Idle for longer than it takes to notice that the other side is dead.
    await systemClock.sleep(7000);
    await all();
    assert.deepEqual(sessions(pair), [first], "the same one");
    Deno.kill(first, "SIGKILL");
    await waitFor(
      () => processes(new RegExp(`^ssh: ${pair.at("run")}`)).length === 0,
      "it is noticed",
    );
    await all();
    assert.equal(sessions(pair).length, 1);
    assert.notEqual(sessions(pair)[0], first);
  } finally {
    await replicator.stop();
    await pair.end();
  }
});
