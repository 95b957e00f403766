import assert from "node:assert/strict";
import { parseJournalEntry } from "../../tests/support/journal_entry.ts";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { UnixReceiver } from "../../tests/support/unix_receiver.ts";
import type { Clock } from "./clock.ts";
import { libc } from "./libc.ts";
import { configureLog, flushLog, getLog, resetLog } from "./log.ts";
import type { ByteWriter } from "./log_sink.ts";

// Opens the library, which stays open for the life of the process, outside of any test.
libc();

class Collector implements ByteWriter {
  text = "";
  write(bytes: Uint8Array): Promise<number> {
    // Short writes happen on pipes.
    const taken = Math.min(bytes.length, 7);
    this.text += new TextDecoder().decode(bytes.subarray(0, taken));
    return Promise.resolve(taken);
  }
}

class StoppedClock implements Clock {
  now = 0;
  nowMs = (): number => this.now;
  wallMs = (): number => Date.UTC(2026, 0, 2, 3, 4, 5);
  sleep = (): Promise<void> => Promise.reject(new Error("not used"));
}

Deno.test("getLog() writes logfmt lines with area, context and fields", async () => {
  const out = new Collector();
  let state = "standby";
  configureLog({
    format: "logfmt",
    out,
    clock: new StoppedClock(),
    context: () => ({ node: "pbx-a", state }),
  });
  const log = getLog("vip");
  log.info("VIP mounted {not a placeholder}", { vip: "10.20.0.10" });
  state = "active";
  log.error("VIP lost", { why: "ip addr del" });
  log.debug("not shown");
  await resetLog();
  assert.deepEqual(out.text.split("\n"), [
    'time=2026-01-02T03:04:05.000Z level=info area=vip msg="VIP mounted {not a placeholder}" ' +
    "node=pbx-a state=standby vip=10.20.0.10",
    'time=2026-01-02T03:04:05.000Z level=error area=vip msg="VIP lost" ' +
    'node=pbx-a state=active why="ip addr del"',
    "",
  ]);
});

Deno.test("getLog() sends fields and priorities to the journal's socket", async () => {
  using directory = new TempDirectory();
  const socket = `${directory.path}/socket`;
  using receiver = new UnixReceiver(socket);
  const out = new Collector();
  configureLog({ format: "journal", journalSocket: socket, out });
  getLog("core").warn("Peer suspect", { rule: "S-HOLD", state: "standby", why: "a\nb" });
  await resetLog();
  const [entry, ...rest] = receiver.takeAll().map(parseJournalEntry);
  assert.equal(rest.length, 0);
  assert.deepEqual(
    Object.fromEntries(entry ?? []),
    {
      MESSAGE: "Peer suspect",
      PRIORITY: "4",
      SYSLOG_IDENTIFIER: "relais",
      RELAIS_AREA: "core",
      RELAIS_RULE: "S-HOLD",
      RELAIS_STATE: "standby",
      RELAIS_WHY: "a\nb",
    },
  );
  assert.equal(out.text, "");
});

Deno.test("getLog() falls back to prefixed lines while the journal is away", async () => {
  using directory = new TempDirectory();
  const socket = `${directory.path}/socket`;
  const out = new Collector();
  configureLog({ format: "journal", journalSocket: socket, out });
  getLog("core").info("one");
  await flushLog();
  assert.equal(out.text, "<6>core: one\n");
  {
    using receiver = new UnixReceiver(socket);
    getLog("core").info("two");
    assert.equal(receiver.takeAll().length, 1);
  }
  await resetLog();
  assert.equal(out.text, "<6>core: one\n");
});

Deno.test("getLog() limits repeats, sums them up, and never limits debug", async () => {
  const out = new Collector();
  const clock = new StoppedClock();
  configureLog({ format: "logfmt", level: "debug", out, clock });
  const log = getLog("heartbeat");
  for (let i = 0; i < 100; i++) log.warn("No answer", { event: "icmp", attempt: i });
  for (let i = 0; i < 100; i++) log.debug("Echo", { attempt: i });
  log.warn("No answer", { event: "http" });
  clock.now = 60_000;
  log.info("Answer");
  await resetLog();
  const lines = out.text.trimEnd().split("\n");
  assert.equal(
    lines.filter((line) => line.includes("No answer") && line.includes("icmp")).length,
    11,
  );
  assert.equal(lines.filter((line) => line.includes("msg=Echo")).length, 100);
  assert.equal(lines.filter((line) => line.includes("event=http")).length, 1);
  const summary = lines.at(-2) ?? "";
  assert.match(summary, /No answer \(90 more like this were not shown\)/);
  assert.match(summary, /attempt=99/);
});

Deno.test("flushLog() writes the summary of repeats before the end", async () => {
  const out = new Collector();
  configureLog({ format: "logfmt", out, clock: new StoppedClock() });
  for (let i = 0; i < 13; i++) getLog("x").info("again");
  await flushLog();
  assert.match(out.text, /again \(3 more like this were not shown\)/);
  await resetLog();
});

Deno.test("getLog() never waits for a reader who has gone to sleep, and bounds what waits", async () => {
  let release = (): void => {};
  const asleep = new Promise<void>((resolve) => release = resolve);
  let text = "";
  const out: ByteWriter = {
    async write(bytes: Uint8Array): Promise<number> {
      await asleep;
      text += new TextDecoder().decode(bytes);
      return bytes.length;
    },
  };
  configureLog({ format: "logfmt", level: "debug", out });
  const log = getLog("x");
  for (let i = 0; i < 3000; i++) log.debug("long", { why: "y".repeat(1000) });
  await flushLog(10); // gives up, as nobody reads
  assert.equal(text, "");
  release();
  await flushLog();
  log.info("after");
  await resetLog();
  const lines = text.trimEnd().split("\n");
  assert.ok(lines.length > 500 && lines.length < 1500, `${lines.length} lines`);
  const [note = "", last = ""] = lines.slice(-2);
  assert.match(note, /msg="\d+ log lines were dropped as nobody read them"/);
  assert.match(last, /msg=after/);
  assert.equal(lines.length - 2 + Number(/msg="(\d+)/.exec(note)?.[1]), 3000);
});

Deno.test("getLog() before configureLog() says nothing and does not fail", async () => {
  await resetLog();
  getLog("x").error("nobody listens");
});

for (
  const [what, journalStream, expected] of [
    ["logfmt on a pipe", "", /^time=\S+ level=info area=x msg=hello\n$/],
    ["logfmt when JOURNAL_STREAM is another stream", "1:1", /^time=\S+ level=info/],
  ] as const
) {
  Deno.test(`configureLog() picks ${what}`, async () => {
    const { stderr } = await speak({ JOURNAL_STREAM: journalStream }, null);
    assert.match(stderr, expected);
  });
}

Deno.test("configureLog() picks the journal when JOURNAL_STREAM is standard error", async () => {
  const file = Deno.makeTempFileSync({ prefix: "relais-stderr-" });
  const { dev, ino } = Deno.statSync(file);
  const socket = `${file}.no-journal`;
  await speak({ JOURNAL_STREAM: `${dev}:${ino}` }, { file, socket });
  assert.equal(Deno.readTextFileSync(file), "<6>x: hello\n");
  Deno.removeSync(file);
});

/** Runs a program that logs one line; its standard error goes to `file`, else to a pipe. */
async function speak(
  env: Record<string, string>,
  to: { readonly file: string; readonly socket: string } | null,
): Promise<{ stderr: string }> {
  const module = new URL("./log.ts", import.meta.url).href;
  const code = `
    const { configureLog, flushLog, getLog } = await import(${JSON.stringify(module)});
    configureLog(${JSON.stringify(to === null ? {} : { journalSocket: to.socket })});
    getLog("x").info("hello");
    await flushLog();`;
  // Only a shell can open the file as standard error; its name is an argument, not part of the script.
  const script = to === null ? 'shift; exec "$@"' : 'exec 2>"$1"; shift; exec "$@"';
  const { stderr, code: status } = await new Deno.Command("sh", {
    args: ["-c", script, "sh", to?.file ?? "", Deno.execPath(), "eval", "--quiet", code],
    env,
  }).output();
  const text = new TextDecoder().decode(stderr);
  assert.equal(status, 0, text);
  return { stderr: text };
}
