import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import {
  generateKey,
  keyFileText,
  keyId,
  nextKeyPath,
  readKeyFile,
  readKeys,
} from "../heartbeat/key.ts";
import { KeyFiles } from "./key_files.ts";
import { type KeyOrder, type KeyState, readOrder, writeOrder } from "./key_protocol.ts";
import { type KeyHost, nextStep, rotate } from "./rotate.ts";

/** A host: real key files, and a daemon that uses what it read last. */
class Host {
  readonly files: KeyFiles;
  /** What the daemon uses; null: it does not run. */
  used: readonly Uint8Array[] | null;
  reloads = 0;

  constructor(readonly path: string, key: string) {
    Deno.writeTextFileSync(path, keyFileText(key), { mode: 0o600 });
    this.used = readKeys(path);
    this.files = new KeyFiles(path, {
      keys: () => Promise.resolve(this.used?.map(keyId) ?? null),
      reload: () => {
        this.reloads++;
        this.used = readKeys(this.path);
        return Promise.resolve();
      },
    });
  }

  /** What a daemon that starts now would use. */
  get onDisk(): readonly Uint8Array[] {
    return readKeys(this.path);
  }
}

function accepts(keys: readonly Uint8Array[], signer: Uint8Array | undefined): boolean {
  return signer !== undefined && keys.some((key) => Buffer.compare(key, signer) === 0);
}

/** Whatever daemon runs, was restarted or starts only now: what one signs the other accepts. */
function assertNoGap(a: Host, b: Host): void {
  for (const one of [a.used ?? a.onDisk, a.onDisk]) {
    for (const other of [b.used ?? b.onDisk, b.onDisk]) {
      assert.ok(accepts(other, one[0]), "the second accepts what the first signs");
      assert.ok(accepts(one, other[0]), "the first accepts what the second signs");
    }
  }
}

interface Pair {
  readonly a: Host;
  readonly b: Host;
  readonly old: string;
  /** Steps on either host so far. */
  steps: number;
  run(failAt?: { readonly step: number; readonly when: "before" | "after" }): Promise<string>;
}

function makePair(folder: string): Pair {
  const old = generateKey();
  const [a, b] = ["a", "b"].map((name) => new Host(`${folder}/${name}.key`, old)) as [Host, Host];
  const pair: Pair = {
    a,
    b,
    old,
    steps: 0,
    run: async (failAt) => {
      let count = 0;
      const watch = (host: KeyHost): KeyHost => ({
        do: async (order: KeyOrder): Promise<KeyState> => {
          const isFailing = order.do !== "look" && count++ === failAt?.step;
          if (isFailing && failAt.when === "before") throw new Error("power cut before");
          const state = await host.do(order);
          pair.steps++;
          assertNoGap(a, b);
          if (isFailing) throw new Error("power cut after");
          return state;
        },
      });
      // What goes to the other host is written and read as it is on the wire.
      const there: KeyHost = {
        do: (order) => b.files.do(readOrder(writeOrder(order, a.files.keys[0]!), b.files.keys)),
      };
      const { id } = await rotate({
        here: { ...watch(a.files), withdraw: () => a.files.withdraw() },
        there: watch(there),
        makeKey: generateKey,
        readNext: () => {
          try {
            return Buffer.from(readKeyFile(nextKeyPath(a.path))[0]!).toString("base64");
          } catch {
            return null;
          }
        },
        onStep: () => {},
      });
      return id;
    },
  };
  return pair;
}

function assertDone({ a, b, old }: Pair, id: string): void {
  const oldId = keyId(new Uint8Array(Buffer.from(old, "base64")));
  assert.notEqual(id, oldId);
  for (const host of [a, b]) {
    assert.deepEqual(host.onDisk.map(keyId), [id]);
    assert.deepEqual(readKeyFile(host.path).map(keyId), [id]);
    if (host.used !== null) assert.deepEqual(host.used.map(keyId), [id]);
    assert.equal((Deno.statSync(host.path).mode ?? 0) & 0o777, 0o600);
    assert.throws(() => Deno.statSync(nextKeyPath(host.path)), Deno.errors.NotFound);
  }
}

Deno.test("rotate() replaces the key on both hosts, and at no step does one sign what the other refuses", async () => {
  using folder = new TempDirectory();
  const pair = makePair(folder.path);
  const id = await pair.run();
  assertDone(pair, id);
  assert.ok(pair.a.reloads >= 3 && pair.b.reloads >= 3);
  // And once more: it is a replacement like any other.
  const second = await pair.run();
  assert.notEqual(second, id);
  assertDone(pair, second);
});

Deno.test("rotate() may be cut off before or after every step: nothing is lost, and the next run completes it", async () => {
  let interrupted = 0;
  for (let step = 0; step < 12; step++) {
    for (const when of ["before", "after"] as const) {
      using folder = new TempDirectory();
      const pair = makePair(folder.path);
      try {
        await pair.run({ step, when });
        continue; // It has fewer steps.
      } catch (error) {
        interrupted++;
        assert.match(`${error}`, /power cut/);
      }
      assertNoGap(pair.a, pair.b);
      // Hosts are started anew in between: what is on disk counts.
      for (const host of [pair.a, pair.b]) host.used = host.onDisk;
      assertNoGap(pair.a, pair.b);
      assertDone(pair, await pair.run());
    }
  }
  assert.equal(interrupted, 12, "six steps, before and after each");
});

Deno.test("rotate() where a daemon does not run changes the files; the daemon that starts later fits at each step", async () => {
  for (const down of ["a", "b"] as const) {
    using folder = new TempDirectory();
    const pair = makePair(folder.path);
    pair[down].used = null;
    assertDone(pair, await pair.run());
  }
});

Deno.test("rotate() changes nothing when the other host does not answer, has another key or rotates by itself", async () => {
  using folder = new TempDirectory();
  const { a, b } = makePair(folder.path);
  const before = Deno.readTextFileSync(a.path);
  const run = (there: KeyHost): Promise<unknown> =>
    rotate({
      here: a.files,
      there,
      makeKey: generateKey,
      readNext: () => null,
      onStep: () => assert.fail("no step"),
    });
  const dead: KeyHost = { do: () => Promise.reject(new Error("the other host does not answer")) };
  await assert.rejects(run(dead), /does not answer\nNothing was changed: the key in use stays/);
  await b.files.do({ do: "offer", key: generateKey() });
  await assert.rejects(
    run(b.files),
    /other host has begun.*finish it there[^]*Nothing was changed/,
  );
  Deno.writeTextFileSync(b.path, keyFileText(generateKey()));
  Deno.removeSync(nextKeyPath(b.path));
  await b.files.do({ do: "look" });
  await assert.rejects(run(b.files), /do not have the same key[^]*Nothing was changed/);
  assert.equal(Deno.readTextFileSync(a.path), before);
  assert.equal(a.reloads, 0);
});

Deno.test("nextStep() finishes a replacement that was made by hand, and refuses two at once", () => {
  const state = (current: string[], next: string | null = null): KeyState => ({
    current,
    next,
    running: true,
  });
  assert.equal(nextStep(state(["o"]), state(["o"]), null), "done");
  const byHand = nextStep(state(["n", "o"]), state(["o", "n"]), null);
  assert.ok(byHand !== "done" && byHand.on === "there" && byHand.order.do === "promote");
  assert.throws(() => nextStep(state(["o"], "n"), state(["o"], "m"), "key"), /each host has begun/);
  assert.throws(() => nextStep(state(["o"]), state(["m"]), null), /do not have the same key/);
  assert.throws(() => nextStep(state(["n"]), state(["o", "n"]), null), /do not have the same key/);
});

Deno.test("KeyFiles refuses what would leave a host without a key that the other one has", async () => {
  using folder = new TempDirectory();
  const { a, old } = makePair(folder.path);
  const id = keyId(new Uint8Array(Buffer.from(old, "base64")));
  const other = "0123456789abcdef";
  await assert.rejects(a.files.do({ do: "promote", id: other }), /does not have it/);
  await assert.rejects(a.files.do({ do: "finish", id: other }), /does not sign with it/);
  await assert.rejects(
    a.files.do({ do: "offer", key: btoa("too short to be a key at all!!") }),
    /bytes/,
  );
  assert.throws(() => Deno.statSync(nextKeyPath(a.path)), Deno.errors.NotFound);
  await a.files.do({ do: "offer", key: old });
  assert.equal((await a.files.do({ do: "look" })).next, null, "the key in use is no new one");
  const next = generateKey();
  assert.equal((await a.files.do({ do: "offer", key: next })).next !== null, true);
  await assert.rejects(a.files.do({ do: "offer", key: generateKey() }), /another one is under way/);
  assert.deepEqual((await a.files.keepFirst()).current, [id]);
  assert.deepEqual(a.onDisk.map(keyId), [id]);
});

Deno.test("KeyFiles.do() says so when the daemon does not take the keys, and reloads again the next time", async () => {
  using folder = new TempDirectory();
  const { a } = makePair(folder.path);
  let works = false;
  const files = new KeyFiles(a.path, {
    keys: () => Promise.resolve(a.used?.map(keyId) ?? null),
    reload: () => {
      if (!works) return Promise.reject(new Error("busy: try again"));
      a.used = a.onDisk;
      return Promise.resolve();
    },
  });
  const key = generateKey();
  await assert.rejects(files.do({ do: "offer", key }), /busy: try again/);
  works = true;
  assert.equal((await files.do({ do: "look" })).running, true);
  assert.equal(a.used?.length, 2);
  const blind = new KeyFiles(a.path, {
    keys: () => Promise.resolve(["0123456789abcdef"]),
    reload: () => Promise.resolve(),
  });
  await assert.rejects(blind.do({ do: "look" }), /read another file/);
});

Deno.test("readOrder() takes an order only with a proof by a key of this host, and lets anybody look", () => {
  const [ours, theirs] = [generateKey(), generateKey()].map((text) =>
    new Uint8Array(Buffer.from(text, "base64"))
  ) as [Uint8Array, Uint8Array];
  const offer: KeyOrder = { do: "offer", key: generateKey() };
  assert.deepEqual(readOrder(writeOrder(offer, ours), [theirs, ours]), offer);
  assert.throws(() => readOrder(writeOrder(offer, theirs), [ours]), /not proved/);
  assert.deepEqual(readOrder(writeOrder({ do: "look" }, theirs), [ours]), { do: "look" });
  const line = writeOrder(offer, ours);
  const bad = [
    line.replace("offer", "finish"),
    line.replace(/"mac":"../, '"mac":"zz'),
    '{"order":"{}","mac":""}',
    "null",
    "",
    "[".repeat(2000),
    JSON.stringify({ order: JSON.stringify({ ...offer, path: "/etc/passwd" }), mac: "" }),
  ];
  for (const text of bad) assert.throws(() => readOrder(text, [ours]), Error, text.slice(0, 60));
});
