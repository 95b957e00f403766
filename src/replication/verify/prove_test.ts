import assert from "node:assert/strict";
import type { ReplicationConfig } from "../../config/types.ts";
import { systemClock } from "../../os/clock.ts";
import { Pair, putRows } from "../peer_fixture.ts";
import { parseReceiveCommand } from "../receive_command.ts";
import { SetStates } from "../set_state.ts";
import { compareFiles } from "./compare_files.ts";
import { overall, type ProofFinding, summary } from "./finding.ts";
import { proveCopies, type ProveOptions } from "./prove.ts";
import { digestOf } from "./file_digest.ts";

const SEED = "0123456789abcdef0123456789abcdef";

/** This host is the slave, the peer (real ssh, other directories) the master. */
async function withSlave(
  body: (
    pair: Pair,
    prove: (change?: Partial<ProveOptions>) => Promise<readonly ProofFinding[]>,
  ) => Promise<void>,
): Promise<void> {
  const pair = await Pair.make("slave");
  const transport = pair.transport();
  try {
    await pair.setGate({ daemon: pair.peerDaemon("active"), refusal: null });
    await body(pair, (change = {}) =>
      proveCopies({
        config: pair.config(),
        stateDir: pair.at("state"),
        clock: systemClock,
        database: null,
        transport,
        node: { state: "standby", epoch: 1 },
        seed: SEED,
        signal: AbortSignal.timeout(120_000),
        onStep: () => {},
        ...change,
      }));
  } finally {
    await transport.close();
    await pair.end();
  }
}

/** Writes one file on both hosts, changed long ago. */
async function onBoth(pair: Pair, name: string, text: string): Promise<void> {
  for (const root of ["shared", "peer/shared"]) {
    const path = pair.at(`${root}/${name}`);
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(path, text);
    await Deno.utime(path, 1_700_000_000, 1_700_000_000);
  }
}

async function received(pair: Pair, set: "files", snapshotWallMs: number): Promise<void> {
  const facts = { snapshotWallMs, epoch: 1, origin: "master", size: 1, sha256: "00" } as const;
  const states = new SetStates(pair.at("state"), assert.fail);
  await states.succeeded(set, "received", { ...facts, durationMs: 1 }, systemClock.wallMs());
}

function of(findings: readonly ProofFinding[], set: string): readonly ProofFinding[] {
  return findings.filter((finding) => finding.set === set);
}

/** Names, times and contents of everything below a directory. */
async function picture(directory: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    const path = `${directory}/${name}`;
    if (isDirectory) found.push(...await picture(path));
    else {found.push(
        `${path} ${(await Deno.stat(path)).mtime?.getTime()} ${(await digestOf(path)).sha256}`,
      );}
  }
  return found.sort();
}

Deno.test("proveCopies() compares the files with the master's through ssh, by a sample, and changes nothing", async () => {
  await withSlave(async (pair, prove) => {
    const astdb: Partial<ReplicationConfig> = { astdb: null };
    const config = pair.config(astdb);
    for (let i = 0; i < 30; i++) await onBoth(pair, `sounds/été ${i}.wav`, `sound ${i}`);
    await onBoth(pair, "etc/sip.conf", "[general]");
    assert.match(summary(await prove({ config })), /^files: no copy was ever received$/);
    await received(pair, "files", 1_700_000_100_000);
    const before = [...await picture(pair.at("shared")), ...await picture(pair.at("peer/shared"))];
    const equal = await prove({ config });
    assert.deepEqual(equal.map(({ result, text }) => `${result} ${text}`), [
      "equal 31 files of the sample are the source's",
    ]);
    const after = [...await picture(pair.at("shared")), ...await picture(pair.at("peer/shared"))];
    assert.deepEqual(after, before);

    // Same size, same time, another byte; a file that is gone; other permissions.
    await Deno.writeTextFile(pair.at("shared/sounds/été 3.wav"), "sound X");
    await Deno.utime(pair.at("shared/sounds/été 3.wav"), 1_700_000_000, 1_700_000_000);
    await Deno.remove(pair.at("shared/sounds/été 4.wav"));
    await Deno.chmod(pair.at("shared/etc/sip.conf"), 0o600);
    // What changed on the master after the copy is no difference.
    await Deno.writeTextFile(pair.at("peer/shared/sounds/été 5.wav"), "new");
    const found = await prove({ config });
    const [wrong] = found.filter(({ result }) => result === "different");
    assert.match(wrong?.text ?? "", /été 3\.wav has other contents/);
    assert.match(wrong?.text ?? "", /été 4\.wav is missing here/);
    assert.match(wrong?.text ?? "", /sip\.conf is -rw------- here and -rw-r--r-- there/);
    assert.match(JSON.stringify(found), /changed on the source since the last copy.*été 5\.wav/);

    const serving = await prove({ config, node: { state: "active", epoch: 2 } });
    assert.equal(overall(serving), "equal");
    assert.equal(serving[0]?.result, "skipped");

    await pair.powerOff();
    const alone = await prove({ config });
    assert.equal(overall(alone), "unchecked");
    assert.match(summary(alone), /files: could not check: Cannot reach/);
  });
});

Deno.test("proveCopies() proves the astdb in place and every generation in the spool", async () => {
  await withSlave(async (pair, prove) => {
    const config = pair.config({ files: null });
    const spool = pair.at("state/spool/astdb");
    await Deno.mkdir(spool, { recursive: true });
    const generation = async (name: string): Promise<string> => {
      const path = `${spool}/${name}`;
      putRows(path, { "/SIP/Registry/100": name });
      const { sha256, size } = await digestOf(path);
      const header = {
        version: 1,
        set: "astdb",
        epoch: 1,
        origin: "master",
        snapshotWallMs: 1,
        fingerprint: "f00d",
        detail: {},
      };
      const sidecar = { header, trailer: { size, sha256 }, receivedWallMs: 1 };
      await Deno.writeTextFile(`${path}.json`, JSON.stringify(sidecar));
      return path;
    };
    assert.match(summary(await prove({ config })), /no copy was ever received/);
    const [good, bad] = [await generation("1-1-aaaaaaaa"), await generation("1-2-bbbbbbbb")];
    putRows(pair.at("shared/astdb.sqlite3"), { "/a": "b" });
    const sound = of(await prove({ config }), "astdb");
    assert.equal(overall(sound), "equal");
    assert.match(JSON.stringify(sound), /2 copies in the spool/);

    const file = await Deno.open(bad, { write: true });
    await file.seek(5000, Deno.SeekMode.Start);
    await file.write(new Uint8Array([1]));
    file.close();
    assert.match(summary(await prove({ config })), /1-2-bbbbbbbb has another digest/);
    await Deno.truncate(bad, 100);
    assert.match(summary(await prove({ config })), /1-2-bbbbbbbb has 100 bytes instead of/);
    await Deno.remove(bad);
    assert.match(summary(await prove({ config })), /1-2-bbbbbbbb cannot be read/);
    await Deno.remove(`${bad}.json`);
    await Deno.writeTextFile(pair.at("shared/astdb.sqlite3"), "SQLite format 3\0 and nonsense");
    assert.match(summary(await prove({ config })), /astdb\.sqlite3 is not usable/);
    assert.ok((await Deno.stat(good)).isFile, "nothing was removed");
  });
});

Deno.test("compareFiles() compares on the source's clock, whatever this host's says", () => {
  const file = { path: "/a", size: 1, mode: "-rw-r--r--", sha256: "a".repeat(64) };
  const other = { ...file, sha256: "b".repeat(64) };
  const at = (changedWallMs: number): string | undefined =>
    compareFiles([{ ...file, changedWallMs }], [other], { copiedWallMs: 10_000 })[0]?.result;
  assert.equal(at(9000), "different");
  assert.equal(at(9001), "equal");
});

Deno.test("parseReceiveCommand() takes file-sums with a seed and a count only", () => {
  assert.deepEqual(parseReceiveCommand(`file-sums ${SEED} 100`), {
    verb: "file-sums",
    seed: SEED,
    count: 100,
  });
  for (const words of ["", SEED, `${SEED} 0`, `${SEED} 1000`, `${SEED} 1 /etc/shadow`, "x 1"]) {
    assert.ok("refused" in parseReceiveCommand(`file-sums ${words}`.trim()), words);
  }
});
