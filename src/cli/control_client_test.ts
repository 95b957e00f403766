import assert from "node:assert/strict";
import { type ControlDeps, createControlApp, type OfferedHeader } from "../health/control_app.ts";
import { AlreadyRunningError, ControlServer } from "../health/control_server.ts";
import { sampleStatus } from "../../tests/support/health_sample.ts";
import { poll } from "../../tests/support/poll.ts";
import { ControlClient, ControlError } from "./control_client.ts";

const HEADER: OfferedHeader = { set: "astdb", epoch: 3, origin: "master", fingerprint: "f" };

function deps(change: Partial<ControlDeps> = {}): ControlDeps {
  const yes = { ok: true, text: "done" };
  return {
    status: () => sampleStatus(),
    history: () => sampleStatus().history,
    command: (command) => ({ ok: command !== "failback", text: command }),
    announce: () => yes,
    reload: () =>
      Promise.resolve({
        ok: false,
        text: "refused",
        outcome: "bad-config",
        changes: [],
        problems: ["failback.stable_s: must be at least 0 (got -1)"],
        notes: [],
      }),
    sync: () => Promise.resolve(yes),
    returning: ({ action }) => Promise.resolve({ ok: action !== "go", text: action }),
    fence: ({ action }) =>
      Promise.resolve({ ok: action !== "off", text: action, power: "unknown" as const }),
    receiveBegin: ({ epoch }) => ({ ok: epoch > 2, text: `epoch ${epoch}` }),
    receiveEnd: () => {},
    ...change,
  };
}

function makeServer(path: string, change: Partial<ControlDeps> = {}): ControlServer {
  const app = createControlApp(deps(change));
  return new ControlServer({ app, path, onError: (error) => assert.fail(error) });
}

async function withDaemon(
  test: (at: { client: ControlClient; path: string; server: ControlServer }) => Promise<void>,
  change: Partial<ControlDeps> = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/run/control.sock`;
  const server = makeServer(path, change);
  try {
    await server.start();
    await test({ client: new ControlClient(path), path, server });
  } finally {
    await server.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("ControlClient asks the daemon for everything that the control app answers", async () => {
  const ended: unknown[] = [];
  await withDaemon(async ({ client }) => {
    assert.deepEqual(await client.status(), sampleStatus());
    assert.deepEqual(await client.history(), sampleStatus().history);
    assert.deepEqual(await client.command("switchover"), { ok: true, text: "switchover" });
    assert.deepEqual(await client.command("failback"), { ok: false, text: "failback" });
    assert.deepEqual(await client.announce(), { ok: true, text: "done" });
    assert.deepEqual(await client.receiveBegin(HEADER), { ok: true, text: "epoch 3" });
    assert.equal((await client.receiveBegin({ ...HEADER, epoch: 1 })).ok, false);
    const result = {
      set: "astdb",
      ok: false,
      reason: "disk full",
      bytes: 7,
      durationMs: 1,
    } as const;
    assert.equal((await client.receiveEnd(result)).ok, true);
    assert.deepEqual(ended, [result]);
  }, { receiveEnd: (result) => void ended.push(result) });
});

Deno.test("ControlServer.start() makes a socket for root only, in a folder that others may list", async () => {
  await withDaemon(async ({ path }) => {
    const socket = await Deno.stat(path);
    assert.equal((socket.mode ?? 0) & 0o777, 0o600);
    const folder = path.slice(0, path.lastIndexOf("/"));
    assert.equal(((await Deno.stat(folder)).mode ?? 0) & 0o777, 0o755);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["control.sock"]);
  });
});

Deno.test("ControlServer.start() replaces the socket of a dead daemon, not that of a living one", async () => {
  await withDaemon(async ({ client, path }) => {
    const second = makeServer(path);
    await assert.rejects(second.start(), AlreadyRunningError);
    assert.equal((await client.announce()).ok, true, "the living one still answers");
  });
  const folder = await Deno.makeTempDir();
  const path = `${folder}/control.sock`;
  // A listener that is closed without removing its socket: what kill -9 leaves behind.
  Deno.listen({ transport: "unix", path }).close();
  await Deno.stat(path).catch(() => Deno.writeTextFile(path, ""));
  const client = new ControlClient(path);
  await assert.rejects(client.status(), { kind: "not-running" });
  const server = makeServer(path);
  await server.start();
  assert.equal((await client.announce()).ok, true);
  await server.stop();
  await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("ControlClient says that relais is not running, and what to run", async () => {
  const client = new ControlClient("/nonexistent/control.sock");
  await assert.rejects(client.status(), {
    name: "ControlError",
    message: "relais is not running on this host (no answer on /nonexistent/control.sock): " +
      "systemctl start relais",
  });
});

Deno.test("ControlClient.sync() lets a mass deletion through only if it is asked to", async () => {
  const asked: boolean[] = [];
  await withDaemon(async ({ client }) => {
    await client.sync("files", () => {});
    await client.sync("files", () => {}, undefined, { allowMassDeletion: true });
    assert.deepEqual(asked, [false, true]);
  }, {
    sync: (set, { allowMassDeletion }) => {
      asked.push(allowMassDeletion);
      return Promise.resolve({ ok: true, text: `copied ${set}` });
    },
  });
});

Deno.test("ControlClient.sync() shows progress as it comes and returns the result", async () => {
  let go = (): void => {};
  const seen: number[] = [];
  await withDaemon(async ({ client }) => {
    const result = await client.sync("database", ({ phase, bytes, totalBytes }) => {
      assert.deepEqual([phase, totalBytes], ["dump", 100]);
      seen.push(bytes);
      go();
    });
    assert.deepEqual(result, { ok: true, text: "copied database" });
    assert.deepEqual(seen, [50]);
  }, {
    sync: async (set, { onProgress }) => {
      const shown = new Promise<void>((resolve) => go = resolve);
      onProgress({ phase: "dump", bytes: 1, totalBytes: 100 });
      onProgress({ phase: "dump", bytes: 50, totalBytes: 100 });
      await shown;
      return { ok: true, text: `copied ${set}` };
    },
  });
});

Deno.test("ControlClient.sync() brings the reason of a failure, and ends the copy when interrupted", async () => {
  await withDaemon(async ({ client }) => {
    const result = await client.sync("all", () => {});
    assert.deepEqual(result, { ok: false, text: "the peer serves" });
  }, { sync: () => Promise.reject(new Error("the peer serves")) });

  const interrupt = new AbortController();
  let ended = false;
  await withDaemon(async ({ client }) => {
    const copy = client.sync("all", () => interrupt.abort(), interrupt.signal);
    await assert.rejects(copy, { message: "interrupted" });
    await poll(() => ended, { deadlineMs: 10_000, what: "the end of the copy" });
  }, {
    sync: async (_set, { signal, onProgress }) => {
      onProgress({ phase: "dump", bytes: 1, totalBytes: null });
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      ended = true;
      return { ok: false, text: "interrupted" };
    },
  });
});

Deno.test("ControlClient.sync() fails when the daemon ends in the middle", async () => {
  await withDaemon(async ({ client, server }) => {
    const copy = client.sync("all", () => void server.stop({ graceMs: 0 }));
    await assert.rejects(copy, { name: "ControlError", kind: "not-running" });
  }, {
    sync: async (_set, { signal, onProgress }) => {
      onProgress({ phase: "dump", bytes: 1, totalBytes: null });
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return { ok: false, text: "too late" };
    },
  });
});

Deno.test("ControlClient.waitFor() waits for a state, over a restart of the daemon, within its deadline", async () => {
  let looks = 0;
  await withDaemon(async ({ client, path, server }) => {
    const waited = client.waitFor(({ node }) => node.state === "standby", {
      deadlineMs: 20_000,
      onLook: () => looks++,
    });
    await poll(() => looks > 2, { deadlineMs: 20_000, what: "three looks" });
    await server.stop();
    const status = sampleStatus();
    status.node.state = "standby";
    const next = makeServer(path, { status: () => status });
    await next.start();
    assert.deepEqual(await waited, { done: true, status });
    const late = await client.waitFor(({ node }) => node.state === "failed", { deadlineMs: 120 });
    assert.deepEqual(late, { done: false, status });
    await next.stop();
  });
});

Deno.test("createControlApp() refuses malformed requests with a sentence, and unknown ones", async () => {
  const errors: Error[] = [];
  const app = createControlApp(deps({
    onError: (error) => errors.push(error),
    announce: () => {
      throw new Error("broken");
    },
  }));
  const post = async (path: string, body: string): Promise<readonly [number, string]> => {
    const answer = await app.request(path, { method: "POST", body });
    const { ok, text } = await answer.json();
    assert.equal(ok, false);
    return [answer.status, text];
  };
  assert.equal((await post("/command", "nonsense"))[0], 400);
  assert.match((await post("/command", '{"command":"reboot"}'))[1], /^Cannot read the request: /);
  assert.equal((await post("/command", '{"command":"stop","force":true}'))[0], 400);
  assert.equal((await post("/sync", '{"set":"secrets"}'))[0], 400);
  assert.equal((await post("/receive/begin", '{"set":"astdb"}'))[0], 400);
  assert.equal((await post("/nothing", "{}"))[0], 404);
  assert.equal((await post("/command", `{"command":"${"x".repeat(70_000)}"}`))[0], 413);
  assert.deepEqual(await post("/announce", ""), [500, "internal error: broken"]);
  assert.equal(errors.length, 1);
  assert.ok(new ControlError("timeout", "x") instanceof Error);
});
