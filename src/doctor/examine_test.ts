import assert from "node:assert/strict";
import { systemClock } from "../os/clock.ts";
import { examine, verdictOf } from "./examine.ts";
import { type Check, failure, good, note, warning } from "./finding.ts";
import { formatExamination } from "./text.ts";

const fine: Check = {
  ids: ["clock.zone"],
  look: () => Promise.resolve([good("clock.zone", "UTC")]),
};

Deno.test("examine() makes a finding of a check that throws and goes on with the others", async () => {
  const broken: Check = {
    ids: ["links.mtu", "links.ping"],
    look: () => {
      throw new Error("no such tool");
    },
  };
  const none: Check = { ids: ["disk.files"], look: () => Promise.resolve([]) };
  const stop = new AbortController();
  const result = await examine([broken, fine, none], { clock: systemClock, stop });
  assert.deepEqual(result.findings.map(({ id }) => id), ["clock.zone", "links.mtu", "links.ping"]);
  assert.deepEqual(result.notApplicable, ["disk.files"]);
  const [, mtu] = result.findings;
  assert.deepEqual([mtu?.severity, mtu?.checked], ["warning", false]);
  assert.match(mtu?.found ?? "", /could not check: no such tool/);
  assert.ok(stop.signal.aborted, "what still runs is told to end");
});

Deno.test("examine() does not wait for a check that never ends", async () => {
  const hung: Check = { ids: ["trust.ssh"], look: () => new Promise(() => {}) };
  const stop = new AbortController();
  const { findings } = await examine([hung, fine], { clock: systemClock, deadlineMs: 100, stop });
  assert.deepEqual(findings.map(({ id, checked }) => [id, checked]), [
    ["clock.zone", true],
    ["trust.ssh", false],
  ]);
});

Deno.test("verdictOf() is the exit status for monitoring", async () => {
  const verdict = async (said: ReturnType<typeof good>): Promise<number> => {
    const check: Check = { ids: [said.id], look: () => Promise.resolve([said]) };
    const stop = new AbortController();
    return verdictOf((await examine([check], { clock: systemClock, stop })).findings);
  };
  assert.equal(await verdict(good("clock.zone", "")), 0);
  assert.equal(await verdict(note("clock.zone", "")), 0);
  assert.equal(await verdict(warning("clock.zone", "")), 1);
  assert.equal(await verdict(failure("clock.zone", "")), 2);
});

Deno.test("formatExamination() has colours only when asked, and is silent when quiet and healthy", async () => {
  const stop = new AbortController();
  const healthy = await examine([fine], { clock: systemClock, stop });
  assert.equal(formatExamination(healthy, { colour: false, quiet: true }), "");
  const plain = formatExamination(healthy, { colour: false, quiet: false });
  assert.match(plain, /clock\n {2}ok {6}clock\.zone: UTC\n\n0 failures, 0 warnings, 1 ok/);
  // deno-lint-ignore no-control-regex
  assert.match(formatExamination(healthy, { colour: true, quiet: false }), /\x1b\[32m/);
});
