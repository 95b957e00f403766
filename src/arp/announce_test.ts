import assert from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { announcementAtMs, Announcer, LATE_MS, LOOK_MS, nextAnnouncement } from "./announce.ts";

Deno.test("announcementAtMs() is the burst of DESIGN section 6, then every 30 s", () => {
  const first = Array.from({ length: 10 }, (_, index) => announcementAtMs(index));
  assert.deepEqual(first, [0, 100, 500, 1000, 2000, 5000, 10_000, 40_000, 70_000, 100_000]);
});

Deno.test("nextAnnouncement() makes up for a stall by one announcement", () => {
  assert.equal(nextAnnouncement(0, 0), 1);
  assert.equal(nextAnnouncement(0, 99.9), 1);
  assert.equal(nextAnnouncement(1, 99.9), 2, "a timer that fired early repeats nothing");
  assert.equal(nextAnnouncement(1, 3000), 5);
  assert.equal(nextAnnouncement(2, 10_000), 6);
  assert.equal(nextAnnouncement(6, 10_001), 7);
  assert.equal(nextAnnouncement(6, 95_000), 9);
  assert.equal(announcementAtMs(nextAnnouncement(0, 86_400_000)), 86_410_000);
});

interface Sent {
  readonly vip: string;
  readonly atMs: number;
}

function announcing(): { clock: ManualClock; sent: Sent[]; announcer: Announcer } {
  const clock = new ManualClock();
  const sent: Sent[] = [];
  const send = (vip: string): void => void sent.push({ vip, atMs: clock.nowMs() });
  return { clock, sent, announcer: new Announcer({ clock, send }) };
}

Deno.test("Announcer sends the first announcement at once and the others on time", async () => {
  const { clock, sent, announcer } = announcing();
  announcer.start("10.0.0.1");
  assert.deepEqual(sent, [{ vip: "10.0.0.1", atMs: 0 }]);
  await clock.advance(75_000);
  const times = sent.map(({ atMs }) => atMs);
  assert.deepEqual(times, [0, 100, 500, 1000, 2000, 5000, 10_000, 40_000, 70_000]);
  announcer.stopAll();
  assert.equal(clock.sleeping, 0);
});

Deno.test("Announcer.start() begins the burst again, for that VIP only", async () => {
  const { clock, sent, announcer } = announcing();
  announcer.start("10.0.0.1");
  announcer.start("10.0.0.2");
  await clock.advance(3000);
  sent.length = 0;
  announcer.start("10.0.0.1");
  await clock.advance(2000);
  assert.deepEqual(sent, [
    { vip: "10.0.0.1", atMs: 3000 },
    { vip: "10.0.0.1", atMs: 3100 },
    { vip: "10.0.0.1", atMs: 3500 },
    { vip: "10.0.0.1", atMs: 4000 },
    { vip: "10.0.0.2", atMs: 5000 },
    { vip: "10.0.0.1", atMs: 5000 },
  ]);
  announcer.stopAll();
});

Deno.test("Announcer.stop() ends one VIP's announcements for good", async () => {
  const { clock, sent, announcer } = announcing();
  announcer.start("10.0.0.1");
  announcer.start("10.0.0.2");
  announcer.stop("10.0.0.1");
  assert.deepEqual(announcer.vips, ["10.0.0.2"]);
  await clock.advance(1000);
  assert.equal(sent.filter(({ vip }) => vip === "10.0.0.1").length, 1);
  announcer.stopAll();
});

Deno.test("Announcer sends one announcement after a stall, not a heap, and not before it was awake", async () => {
  const { clock, sent, announcer } = announcing();
  announcer.start("10.0.0.1");
  await clock.stall(60_000);
  assert.deepEqual(sent.map(({ atMs }) => atMs), [0], "the loop has not looked yet");
  await clock.advance(10_000);
  assert.deepEqual(sent.map(({ atMs }) => atMs), [0, 60_000 + LOOK_MS, 70_000]);
  announcer.stopAll();
});

Deno.test("Announcer sends nothing of a VIP that was let go when it wakes from a stall", async () => {
  const { clock, sent, announcer } = announcing();
  announcer.start("10.0.0.1");
  await clock.stall(60_000);
  announcer.stop("10.0.0.1"); // What the loop's first turn does.
  await clock.advance(60_000);
  assert.equal(sent.length, 1);
});

Deno.test("Announcer takes what every busy machine does for no stall", async () => {
  const { clock, sent, announcer } = announcing();
  announcer.start("10.0.0.1");
  await clock.stall(100 + LATE_MS - 1);
  assert.equal(sent.length, 2);
  announcer.stopAll();
});
