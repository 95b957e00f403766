/** Run by spool_test.ts inside a mount namespace of its own: fills a small tmpfs through the spool. */
import { systemClock } from "../os/clock.ts";
import { runOk } from "../os/process.ts";
import { Spool } from "./spool.ts";
import { type IncomingSet, readSetStream, writeSetStream } from "./stream.ts";

const stateDir = Deno.args[0]!;
await runOk(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", stateDir], { deadlineMs: 5000 });

async function incoming(snapshotWallMs: number, bytes: Uint8Array): Promise<IncomingSet> {
  const pipe = new TransformStream<Uint8Array, Uint8Array>();
  writeSetStream(
    pipe.writable,
    {
      version: 1,
      set: "astdb",
      epoch: 1,
      origin: "master",
      snapshotWallMs,
      fingerprint: "f",
      detail: {},
    },
    new Blob([bytes.slice()]).stream(),
    { clock: systemClock },
  ).catch(() => {});
  return await readSetStream(pipe.readable, { clock: systemClock });
}

function files(): string[] {
  return [...Deno.readDirSync(spool.directory)].map((entry) => entry.name).sort();
}

const spool = new Spool(stateDir, "astdb");
const options = { wallMs: () => Date.now(), maxBytes: 100_000_000 };
const first = await spool.receive(await incoming(1, new TextEncoder().encode("first")), options);
const before = files();
let error = "none";
try {
  await spool.receive(await incoming(2, new Uint8Array(2_000_000)), options);
} catch (cause) {
  error = (cause as Error).message;
}
const readable = await Deno.readTextFile(first.path);
console.log(JSON.stringify({ error, before, after: files(), readable }));
