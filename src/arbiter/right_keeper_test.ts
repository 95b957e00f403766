// The keeper of the right against a real etcd: killed, frozen, restarted, with a leader that dies.
import assert from "node:assert/strict";
import { arbiterConfig } from "../../tests/support/arbiter_config.ts";
import { LocalEtcd } from "../../tests/support/local_etcd.ts";
import { poll } from "../../tests/support/poll.ts";
import { arbiterMarginMs } from "../config/arbiter_timing.ts";
import type { ArbiterConfig } from "../config/types.ts";
import type { Role } from "../core/types.ts";
import { systemClock as clock } from "../os/clock.ts";
import { Endpoints } from "./endpoints.ts";
import type { EtcdCluster } from "./etcd.ts";
import { RightKeeper } from "./right_keeper.ts";

const DEADLINE_MS = 60_000;
const { ttlMs: TTL_MS } = arbiterConfig([]);

/** A keeper whose loop turns by itself; `serves` and `vipsGone` are the test's. */
class Turning implements AsyncDisposable {
  serves = false;
  vipsGone = true;
  readonly keeper: RightKeeper;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(
    config: ArbiterConfig,
    role: Role,
    cluster: EtcdCluster = new Endpoints(config, null),
    instanceId = `${role}-1`,
  ) {
    this.keeper = new RightKeeper({
      config,
      cluster,
      clock,
      role,
      host: "127.0.0.1",
      instanceId,
      deadAfterMs: 500,
    });
    this.#timer = setInterval(() => {
      const { serves, vipsGone } = this;
      this.keeper.pace(clock.nowMs(), { serves, vipsGone, hurry: true });
    }, 50);
  }

  get right(): string {
    return this.keeper.evidence(clock.nowMs()).right;
  }

  async acquire(ms = DEADLINE_MS, patient = false): Promise<string> {
    this.serves = true;
    const signal = AbortSignal.timeout(ms);
    return await this.keeper.acquire({ mayHold: () => false, patient, signal });
  }

  async until(right: string): Promise<void> {
    await poll(() => this.right === right, { deadlineMs: DEADLINE_MS, what: `right ${right}` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.keeper.release().catch(() => {});
    this.keeper.close();
  }
}

/** Sees to it that never two have the right, by their own word, at any look. */
function neverTwo(...all: readonly Turning[]): Disposable {
  let two = 0;
  const timer = setInterval(() => {
    if (all.filter(({ right }) => right === "mine").length > 1) two++;
  }, 5);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      assert.equal(two, 0, "two had the right");
    },
  };
}

const options = { sanitizeOps: false, sanitizeResources: false } as const;

Deno.test({
  ...options,
  name:
    "RightKeeper: one of two has the right, gives it back at once, and a new daemon of the same host goes on with it",
  fn: async () => {
    await using etcd = await LocalEtcd.start();
    const config = arbiterConfig(etcd.urls);
    await using master = new Turning(config, "master");
    await using slave = new Turning(config, "slave");
    using _watch = neverTwo(master, slave);
    await slave.until("free");
    assert.equal(await master.acquire(), "the right is this node's");
    await slave.until("peer");
    await assert.rejects(slave.acquire(), /the master has the right to serve/);
    slave.serves = false;
    assert.equal(slave.keeper.report.holder?.instanceId, "master-1");
    // The daemon of the master was killed; the next one finds its own key.
    await using next = new Turning(config, "master", new Endpoints(config, null), "master-2");
    next.serves = true;
    next.vipsGone = false;
    await next.keeper.begin({ wants: true });
    assert.equal(next.right, "mine");
    assert.equal(next.keeper.report.holder?.instanceId, "master-2");
    await master.until("free"); // its old lease is gone; it would not renew it any more
    master.serves = false;
    next.serves = false;
    next.vipsGone = true;
    await slave.until("free");
    await slave.acquire();
  },
});

Deno.test({
  ...options,
  name:
    "RightKeeper: etcd that is frozen or killed ends the right before its lease can; back, it is had again",
  fn: async () => {
    await using etcd = await LocalEtcd.start();
    await using master = new Turning(arbiterConfig(etcd.urls), "master");
    master.vipsGone = false;
    for (const how of ["freeze", "kill"] as const) {
      await master.acquire();
      if (how === "freeze") etcd.freeze();
      else await etcd.kill();
      const cutAt = clock.nowMs();
      let validUntil = 0;
      await poll(() => {
        validUntil = master.keeper.evidence(clock.nowMs()).validUntil ?? validUntil;
        return master.right !== "mine";
      }, { deadlineMs: DEADLINE_MS, what: "no right" });
      const after = validUntil - cutAt;
      assert.ok(after <= TTL_MS - arbiterMarginMs(TTL_MS), `it ended ${after} ms after the cut`);
      assert.equal(master.right, "unknown");
      assert.equal(master.keeper.evidence(clock.nowMs()).reaches, false);
      if (how === "freeze") etcd.thaw();
      else await etcd.restart();
      await master.until("mine");
    }
    const { failures, lastError } = master.keeper.report;
    assert.ok(failures >= 2, `${failures} failures`);
    assert.equal(lastError, null, "an answer ends the error");
  },
});

Deno.test({
  ...options,
  name: "RightKeeper: validUntil counts from before the question, however late the answer",
  fn: async () => {
    await using etcd = await LocalEtcd.start();
    const config = arbiterConfig(etcd.urls);
    const real = new Endpoints(config, null);
    const lateMs = 200;
    const late: EtcdCluster = {
      attempt: async (work, more) => {
        const done = await real.attempt(work, more);
        await clock.sleep(lateMs);
        return done;
      },
      close: () => real.close(),
    };
    await using master = new Turning(config, "master", late);
    const askedAt = clock.nowMs();
    await master.acquire();
    const { validUntil } = master.keeper.evidence(clock.nowMs());
    const lead = clock.nowMs() + TTL_MS - arbiterMarginMs(TTL_MS) - (validUntil ?? Infinity);
    assert.ok(lead >= lateMs - 5, `it counts from ${lead} ms before now`);
    assert.ok((validUntil ?? 0) >= askedAt + TTL_MS - arbiterMarginMs(TTL_MS));
  },
});

Deno.test({
  ...options,
  name: "RightKeeper: a renewal of another term does not count",
  fn: async () => {
    await using etcd = await LocalEtcd.start();
    const config = arbiterConfig(etcd.urls);
    const real = new Endpoints(config, null);
    let isOld = false;
    const cluster: EtcdCluster = {
      attempt: (work, more) =>
        real.attempt((one, signal) =>
          work({
            grant: (...all) => one.grant(...all),
            read: (...all) => one.read(...all),
            claim: (...all) => one.claim(...all),
            revoke: (...all) => one.revoke(...all),
            about: (...all) => one.about(...all),
            keepAlive: async (...all) => {
              const answer = await one.keepAlive(...all);
              return isOld ? { ...answer, term: `${Number(answer.term) - 1}` } : answer;
            },
          }, signal), more),
      close: () => real.close(),
    };
    await using master = new Turning(config, "master", cluster);
    master.vipsGone = false;
    await master.acquire();
    isOld = true;
    await poll(() => master.right !== "mine", { deadlineMs: DEADLINE_MS, what: "no right" });
    assert.equal(master.keeper.evidence(clock.nowMs()).reaches, true, "etcd answered all the time");
    isOld = false;
    await master.until("mine");
  },
});

Deno.test({
  ...options,
  name:
    "RightKeeper: a key that somebody deletes is the end of the right within a poll; it is taken again if free",
  fn: async () => {
    await using etcd = await LocalEtcd.start();
    const config = arbiterConfig(etcd.urls);
    await using master = new Turning(config, "master");
    await using slave = new Turning(config, "slave");
    master.vipsGone = false;
    await master.acquire();
    const before = master.keeper.evidence(clock.nowMs()).validUntil;
    await etcd.delete(config.rightKey);
    await poll(() => {
      const { right, validUntil } = master.keeper.evidence(clock.nowMs());
      return right === "mine" && validUntil !== before;
    }, { deadlineMs: DEADLINE_MS, what: "the right, again" });
    await slave.until("peer");
  },
});

Deno.test({
  ...options,
  name:
    "RightKeeper: three members: the leader is killed, one is frozen, the right stays; a majority that is gone ends it",
  fn: async () => {
    await using etcd = await LocalEtcd.start(3);
    const config = arbiterConfig(etcd.urls, { ttlMs: 10_000 });
    await using master = new Turning(config, "master");
    master.vipsGone = false;
    await master.acquire();
    let lost = 0;
    const timer = setInterval(() => {
      if (master.right !== "mine") lost++;
    }, 10);
    const leader = await etcd.leader();
    await etcd.kill(leader);
    const next = await etcd.leader();
    const answersThen = master.keeper.report.answers;
    await poll(() => master.keeper.report.answers >= answersThen + 3, {
      deadlineMs: DEADLINE_MS,
      what: "answers under the new leader",
    });
    await etcd.restart(leader);
    etcd.freeze(next);
    const failuresThen = master.keeper.report.answers;
    await poll(() => master.keeper.report.answers >= failuresThen + 3, {
      deadlineMs: DEADLINE_MS,
      what: "answers while a member stands still",
    });
    clearInterval(timer);
    assert.equal(lost, 0, "the right was never lost");
    // Two of three: nobody may be believed any more.
    await etcd.kill(leader);
    await poll(() => master.right !== "mine", { deadlineMs: DEADLINE_MS, what: "no right" });
  },
});

Deno.test({
  ...options,
  name: "RightKeeper: a consent is given only by a node at rest that misses etcd, and is a promise",
  fn: async () => {
    const config = arbiterConfig(["http://127.0.0.1:9"], { policy: "hold" });
    await using slave = new Turning(config, "slave");
    const now = clock.nowMs();
    const started = slave.keeper.evidence(now).promisedUntil ?? 0;
    assert.ok(started > now + 5000, "the daemon before may have promised");
    const at = now + 100_000;
    const ask = (serves: boolean, vipsGone: boolean): boolean =>
      slave.keeper.consent(at, { serves, vipsGone, peerReaches: true });
    assert.equal(ask(true, true), false, "who serves does not consent");
    assert.equal(ask(false, false), false, "nor who still holds a VIP");
    assert.equal(slave.keeper.evidence(now).promisedUntil, started);
    assert.equal(ask(false, true), true);
    // max(500 ms, 2.5 s) for the consent, 3 s for the kernel's memory, 0.5 s.
    assert.equal(slave.keeper.evidence(now).promisedUntil, at + 2500 + 3000 + 500);
  },
});

Deno.test("RightKeeper: without hold nobody consents", () => {
  const config = arbiterConfig(["http://127.0.0.1:9"]);
  const keeper = new RightKeeper({
    config,
    cluster: new Endpoints(config, null),
    clock,
    role: "slave",
    host: "",
    instanceId: "x",
    deadAfterMs: 500,
  });
  const asked = { serves: false, vipsGone: true, peerReaches: false };
  assert.equal(keeper.consent(clock.nowMs(), asked), false);
  assert.equal(keeper.evidence(clock.nowMs()).promisedUntil, null);
  keeper.close();
});
