import assert from "node:assert/strict";
import { poll } from "../../tests/support/poll.ts";
import { libc } from "./libc.ts";
import { Poller, type PollError } from "./poller.ts";
import { Wakeup } from "./wakeup.ts";

// Opened here, as it stays open: inside a test it would count as a leak.
libc();

const WITHIN = { deadlineMs: 10_000 };

async function withPoller(
  use: (poller: Poller, thrown: unknown[]) => Promise<void>,
): Promise<void> {
  const thrown: unknown[] = [];
  const poller = new Poller({ onCallbackError: (error) => thrown.push(error) });
  poller.start();
  try {
    await use(poller, thrown);
  } finally {
    await poller.stop();
  }
}

/** An idle loop goes round about once a second: no oftener, however long the machine lets it wait. */
async function assertIdle(poller: Poller): Promise<void> {
  const before = poller.rounds;
  await poll(() => poller.rounds > before, { ...WITHIN, what: "a round" });
  const start = poller.rounds;
  const since = performance.now();
  await poll(() => performance.now() - since > 300, { ...WITHIN, what: "300 ms" });
  const [rounds, seconds] = [poller.rounds - start, (performance.now() - since) / 1000];
  assert.ok(rounds < 5 + seconds, `${rounds} rounds in ${seconds} s`);
}

Deno.test("Poller calls the owner of a readable descriptor, also when added while it waits", async () => {
  await withPoller(async (poller) => {
    const bell = new Wakeup();
    let heard = 0;
    poller.add(bell.fd, () => {
      bell.clear();
      heard++;
    });
    bell.wake();
    await poll(() => heard === 1, { ...WITHIN, what: "the first call" });
    bell.wake();
    await poll(() => heard === 2, { ...WITHIN, what: "the second call" });
    bell.close();
  });
});

Deno.test("Poller never calls a closed registration, also when it was closed in the same round", async () => {
  await withPoller(async (poller, thrown) => {
    const bells = [new Wakeup(), new Wakeup()];
    const calls: number[] = [];
    // Both are readable; whoever comes first closes both.
    const registrations = bells.map((bell, i) =>
      poller.add(bell.fd, () => {
        calls.push(i);
        registrations.forEach((registration) => registration.close());
      })
    );
    bells.forEach((bell) => bell.wake());
    await poll(() => calls.length > 0, { ...WITHIN, what: "a call" });
    await assertIdle(poller);
    assert.equal(calls.length, 1);
    assert.deepEqual(thrown, []);
    bells.forEach((bell) => bell.close());
  });
});

Deno.test("Poller goes on when a callback throws, and reports it", async () => {
  await withPoller(async (poller, thrown) => {
    const bell = new Wakeup();
    const other = new Wakeup();
    let heard = 0;
    poller.add(bell.fd, () => {
      bell.clear();
      throw new Error("from the callback");
    });
    poller.add(other.fd, () => {
      other.clear();
      heard++;
    });
    bell.wake();
    await poll(() => thrown.length === 1, { ...WITHIN, what: "the report" });
    other.wake();
    await poll(() => heard === 1, { ...WITHIN, what: "the other call" });
    bell.close();
    other.close();
  });
});

Deno.test("Poller drops a descriptor that is not open (POLLNVAL) and does not spin", async () => {
  await withPoller(async (poller) => {
    const bell = new Wakeup();
    bell.close();
    const errors: PollError[] = [];
    poller.add(bell.fd, () => {}, (error) => errors.push(error));
    await poll(() => errors.length > 0, { ...WITHIN, what: "the error" });
    assert.deepEqual(errors, [{ code: "POLLNVAL", dropped: true }]);
    await assertIdle(poller);
  });
});

Deno.test("Poller drops a descriptor whose other end is gone (POLLHUP) and does not spin", async () => {
  const pipeSymbols = Deno.dlopen("libc.so.6", { pipe: { parameters: ["buffer"], result: "i32" } });
  const ends = new Int32Array(2);
  assert.equal(pipeSymbols.symbols.pipe(ends), 0);
  const [readEnd, writeEnd] = ends;
  await withPoller(async (poller) => {
    const errors: PollError[] = [];
    poller.add(readEnd!, () => {}, (error) => errors.push(error));
    libc().close(writeEnd!);
    await poll(() => errors.length > 0, { ...WITHIN, what: "the error" });
    assert.deepEqual(errors, [{ code: "POLLHUP", dropped: true }]);
    await assertIdle(poller);
  });
  libc().close(readEnd!);
  pipeSymbols.close();
});

Deno.test("Poller.stop() ends a wait at once, and start() begins again", async () => {
  const poller = new Poller();
  poller.start();
  await poller.stop();
  await poller.stop();
  const bell = new Wakeup();
  let heard = false;
  poller.add(bell.fd, () => {
    bell.clear();
    heard = true;
  });
  poller.start();
  bell.wake();
  await poll(() => heard, { ...WITHIN, what: "the call" });
  await poller.stop();
  bell.close();
});
