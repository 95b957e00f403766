import assert from "node:assert/strict";
import { AlertLedger, OVER_AFTER_MS } from "./alert_ledger.ts";

/** A ledger, and what it would tell now; `tell` takes it. */
class Told {
  readonly ledger = new AlertLedger();

  see(now: number, ...texts: string[]): void {
    this.ledger.see(texts, { now, wallMs: 1000 * now });
  }

  get due(): { news: string[]; over: string[] } {
    const batch = this.ledger.due()?.batch;
    const texts = (some: ReadonlyMap<string, { readonly text: string }> | undefined): string[] =>
      [...some?.values() ?? []].map(({ text }) => text);
    return { news: texts(batch?.news), over: texts(batch?.over) };
  }

  tell(): { news: string[]; over: string[] } {
    const { due } = this;
    const batch = this.ledger.due()?.batch;
    if (batch !== undefined) this.ledger.told(batch);
    return due;
  }
}

const NOTHING = { news: [], over: [] };

Deno.test("AlertLedger tells an alert once, and once that it is over", () => {
  const told = new Told();
  told.see(0, "a", "b");
  assert.deepEqual(told.tell(), { news: ["a", "b"], over: [] });
  told.see(1000, "a", "b");
  assert.deepEqual(told.due, NOTHING);
  told.see(2000, "b");
  told.see(1000 + OVER_AFTER_MS - 1, "b");
  assert.deepEqual(told.due, NOTHING, "it may only flicker");
  told.see(1000 + OVER_AFTER_MS, "b");
  assert.deepEqual(told.tell(), { news: [], over: ["a"] });
  told.see(2000 + OVER_AFTER_MS, "b");
  assert.deepEqual(told.due, NOTHING);
  told.see(3000 + OVER_AFTER_MS, "a", "b");
  assert.deepEqual(told.due, { news: ["a"], over: [] }, "it came back: news again");
});

Deno.test("AlertLedger keeps news that nobody took, also when they are over meanwhile", () => {
  const told = new Told();
  told.see(0, "short");
  told.see(OVER_AFTER_MS, "long");
  const { batch, waitsSince } = told.ledger.due()!;
  assert.equal(waitsSince, 0);
  assert.deepEqual([...batch.news.values()], [
    { text: "short", sinceMs: 0, over: true },
    { text: "long", sinceMs: 1000 * OVER_AFTER_MS, over: false },
  ]);
  told.ledger.told(batch);
  assert.equal(told.ledger.due(), null, "the end of the short one was told with it");
});

Deno.test("AlertLedger: what ends while a program is being told of it is told as over next", () => {
  const told = new Told();
  told.see(0, "a");
  const { batch } = told.ledger.due()!;
  told.see(OVER_AFTER_MS);
  told.ledger.told(batch);
  assert.deepEqual(told.tell(), { news: [], over: ["a"] });
  assert.deepEqual(told.due, NOTHING);
});

Deno.test("AlertLedger: ages do not make another alert, addresses do", () => {
  const told = new Told();
  told.see(0, "The copy (sent) fails; last good: 3 min ago", "VIP 10.20.0.10 is held");
  told.tell();
  told.see(1, "The copy (sent) fails; last good: 2 h ago", "VIP 10.20.0.11 is held");
  assert.deepEqual(told.due.news, ["VIP 10.20.0.11 is held"]);
});

Deno.test("AlertLedger tells a move once and never its end", () => {
  const told = new Told();
  told.ledger.add("standby → active", { now: 0, wallMs: 0 });
  told.ledger.add("standby → active", { now: 0, wallMs: 0 });
  assert.deepEqual(told.tell().news, ["standby → active", "standby → active"]);
  told.see(OVER_AFTER_MS);
  assert.deepEqual(told.due, NOTHING);
});

Deno.test("AlertLedger is bounded: the oldest news that do not last are left out, and counted", () => {
  const told = new Told();
  const lasting = Array.from({ length: 100 }, (_, i) => `alert number-${i}`);
  told.see(0, ...lasting);
  for (let i = 0; i < 1000; i++) told.ledger.add(`move number-${i}`, { now: 1, wallMs: 0 });
  told.see(1, ...lasting);
  const { batch } = told.ledger.due()!;
  assert.equal(batch.news.size + batch.leftOut, 1100);
  assert.ok(batch.news.size <= 200, `${batch.news.size}`);
  const texts = [...batch.news.values()].map(({ text }) => text);
  assert.ok(texts.includes("move number-999"), "the newest are kept");
  told.ledger.told(batch);
  told.ledger.add("later", { now: 2, wallMs: 0 });
  assert.equal(told.ledger.due()?.batch.leftOut, 0, "told once");
});
