/**
 * The stream of the database as the daemon drives it. The master looks at it each second, asks the slave each
 * minute, seeds it anew when only that helps, and lets commits wait for the slave or not. The slave ends it
 * when it begins to serve.
 *
 * @module
 */

import { messageOf } from "../../os/errors.ts";
import { readArming, writeArming } from "./arming.ts";
import { askPeer } from "./ask_peer.ts";
import { judge, type StreamVerdict } from "./decide.ts";
import { type Lag, LagMeter } from "./lag.ts";
import { slotName } from "./names.ts";
import type { SourceState, TargetState } from "./operations.ts";
import type { PeerFacts } from "./peer_facts.ts";
import { currentSlot } from "./source_sql.ts";
import { SynchronousKeeper } from "./synchronous_keeper.ts";
import type { StreamOptions, StreamSelf, StreamStatus } from "./stream_types.ts";
import { DatabaseTunnel } from "./tunnel.ts";

/** Deadlines and paces in milliseconds. */
const LOOK_MS = 1000;
const LOOK_SYNCHRONOUS_MS = 500;
const LOOK_DEADLINE_MS = 5000;
const WORK_DEADLINE_MS = 60_000;
const ASK_EVERY_MS = 60_000;
/** While the slave is not connected. */
const ASK_BROKEN_EVERY_MS = 5000;
const SCHEMA_EVERY_MS = 15_000;
/** A master that has stood by for this long drops its slots: nobody follows it any more. */
const RETIRE_AFTER_MS = 30_000;
/** Longest wait for what has arrived to be applied, at a promotion. */
const DRAIN_MS = 1500;
/** The same at a planned move, where the master still lives. */
const DRAIN_ON_MOVE_MS = 15_000;
const DRAIN_LOOK_MS = 20;
const PROMOTE_DEADLINE_MS = 6000;
const PROMOTE_AGAIN_MS = 5000;
/** After this long without a fault, faults are counted from the beginning. */
const WELL_AGAIN_MS = 600_000;

/** See the module. */
export class Stream {
  readonly #options: StreamOptions;
  readonly #tunnel: DatabaseTunnel;
  readonly #end = new AbortController();
  readonly #meter = new LagMeter();
  readonly #sync: SynchronousKeeper;
  #looping: Promise<void> = Promise.resolve();
  #asking: Promise<void> | null = null;
  #source: SourceState | null = null;
  #target: TargetState | null = null;
  #lag: Lag | null = null;
  #verdict: StreamVerdict = { state: "off", why: "", seed: false };
  #schema: string | null = null;
  #schemaAtMs = -Infinity;
  #askedAtMs = -Infinity;
  #errorsAtProgress = 0;
  #confirmed = "";
  #seeding: string | null = null;
  /** A seed for a fault is due; it may wait for the pause between two copies. */
  #requested = false;
  #faults = 0;
  #faultAtMs = -Infinity;
  #reseeds = 0;
  #restingSinceMs: number | null = null;
  #retired = false;
  #promotedAtMs = -Infinity;
  #promoted = false;
  /** Null: not known since the daemon started. */
  #wasSource: boolean | null = null;

  constructor(options: StreamOptions) {
    const { config, runDir, transport } = options;
    const database = config.replication.database!;
    this.#options = options;
    this.#sync = new SynchronousKeeper({
      ...options,
      patienceMs: database.synchronous ? database.synchronousPatienceMs : null,
    });
    this.#tunnel = new DatabaseTunnel({
      runDir,
      osUser: database.osUser,
      transport,
      self: () => this.#dialler(),
      // PostgreSQL dials again each 5 s; what it means is told by the state of the stream.
      onTrouble: (text) => options.onEvent("debug", text),
    });
  }

  /** The newest knowledge; on the host that is no source: what it does itself. */
  get status(): StreamStatus {
    const slot = this.#source === null ? null : currentSlot(this.#source.slots);
    return {
      state: this.#verdict.state,
      why: this.#verdict.why,
      lagMs: this.#lag === null || this.#lag.ms === null ? null : Math.round(this.#lag.ms),
      lagBytes: this.#lag?.bytes ?? null,
      slot: slot?.name ?? null,
      synchronous: this.#sync.waits && this.#options.isSource(),
      reseeds: this.#reseeds,
    };
  }

  /** Begins to listen for the local PostgreSQL, and to look. */
  start(): void {
    this.#tunnel.start().catch((error: unknown) => {
      this.#options.onEvent(
        "warn",
        `There is no tunnel to the peer's PostgreSQL: ${messageOf(error)}`,
      );
    });
    this.#looping = this.#run();
  }

  /** Ends; commits no longer wait for the slave, since nobody would let them go. */
  async stop(): Promise<void> {
    this.#end.abort();
    await this.#tunnel.stop();
    await this.#looping;
    await this.#asking;
    const { config: { role }, onEvent } = this.#options;
    if (this.#sync.wanted && role === "master") {
      await this.#sync.release("relais ends").catch((error) => onEvent("warn", messageOf(error)));
    }
    const { watch, work, transport } = this.#options;
    await Promise.all([watch.close(), work.close(), transport.close()]);
  }

  /**
   * Before a whole copy: makes the publication fit.
   *
   * @returns the slot that the copy shall make; null: the stream is not set up, a plain copy will do
   */
  async beginSeed(epoch: number, signal: AbortSignal): Promise<string | null> {
    const { config, stateDir, work, role } = this.#options;
    if (!readArming(stateDir).armed || this.#source?.walLevel !== "logical") return null;
    const { localTables, excludeTableData } = config.replication.database!;
    const options = { deadlineMs: WORK_DEADLINE_MS, signal };
    // Somebody may have dropped the role or taken the limit away; then there is something to tell.
    for (const text of await work.ask("stream-prepare", { role, logical: false }, options)) {
      this.#options.onEvent("info", text);
    }
    const { identities } = await work.ask(
      "stream-publish",
      { localTables, excludeTableData },
      options,
    );
    if (identities.length > 0) {
      const list = identities.slice(0, 30).join(", ");
      this.#options.onEvent("info", `Tables without a key got REPLICA IDENTITY FULL: ${list}`);
    }
    this.#schema = await work.ask("stream-schema", {}, options);
    return this.#seeding = slotName(epoch);
  }

  /** The slave swaps its databases, and the old stream ends for it: no commit waits for that. */
  aboutToSwap(): void {
    this.#sync.pause("a new copy is put in place");
  }

  /** The copy is in place and the slave follows `slot`; or not, with the reason. */
  async endSeed(slot: string, error: unknown): Promise<void> {
    const { work, stateDir, clock } = this.#options;
    this.#seeding = null;
    this.#sync.resume();
    this.#requested = false;
    const options = { deadlineMs: WORK_DEADLINE_MS };
    if (error !== null) {
      // Whatever still follows an older one goes on; ours would only hold log.
      const current = this.#source === null ? null : currentSlot(this.#source.slots);
      const keep = current !== null && current.active ? current.name : null;
      await work.ask("stream-drop-slots", { keep, force: false }, options)
        .catch((cause) => this.#options.onEvent("warn", messageOf(cause)));
      return;
    }
    this.#target = null;
    this.#errorsAtProgress = 0;
    this.#meter.reset();
    this.#askedAtMs = clock.nowMs() - ASK_EVERY_MS + ASK_BROKEN_EVERY_MS;
    await writeArming(stateDir, { armed: true, seededSchema: this.#schema });
    await work.ask("stream-drop-slots", { keep: slot, force: true }, options);
  }

  /**
   * This host begins to serve: applies what has arrived, ends the stream without the master, raises the
   * sequences.
   *
   * @returns what was done, as a sentence
   */
  async promote(signal: AbortSignal): Promise<string> {
    const { watch, clock } = this.#options;
    this.#promotedAtMs = clock.nowMs();
    const { dropped, raised } = await watch.ask("stream-promote", { patienceMs: DRAIN_MS }, {
      deadlineMs: PROMOTE_DEADLINE_MS,
      signal,
    });
    this.#promoted = true;
    return dropped.length === 0
      ? "the database did not follow a stream"
      : `the stream of the database has ended; ${raised} sequences raised`;
  }

  /**
   * Before a planned move, services stopped: waits until the slave has applied what was committed here.
   *
   * @returns how that went, as a sentence; empty: this host is no source of a stream
   */
  async drain(signal: AbortSignal): Promise<string> {
    const { clock, watch } = this.#options;
    if (this.#verdict.state !== "streaming" && this.#verdict.state !== "behind") {
      return this.#verdict.state === "broken" ? "the slave does not follow the database" : "";
    }
    const until = clock.nowMs() + DRAIN_ON_MOVE_MS;
    let goal: number | null = null;
    for (;;) {
      const { lsn, sender } = await watch.ask("stream-source", {}, {
        deadlineMs: LOOK_DEADLINE_MS,
        signal,
      });
      goal ??= lsn;
      const behind = goal - (sender?.replayLsn ?? 0);
      if (behind <= 0) return "the slave has every change of the database";
      if (clock.nowMs() >= until) return `the slave lacks ${behind} bytes of the database's log`;
      await clock.sleep(DRAIN_LOOK_MS, signal);
    }
  }

  #dialler(): { readonly facts: PeerFacts } | { readonly refused: string } {
    const { config: { role, fingerprint }, self } = this.#options;
    const now = self();
    if (now === null) return { refused: "relais is starting here" };
    if (now.serving) {
      return { refused: `this host is ${now.state}: the one that serves follows nobody` };
    }
    return { facts: { epoch: now.epoch, origin: role, fingerprint } };
  }

  async #run(): Promise<void> {
    const { clock, onEvent } = this.#options;
    const { signal } = this.#end;
    const everyMs = this.#sync.wanted ? LOOK_SYNCHRONOUS_MS : LOOK_MS;
    let said = "";
    while (!signal.aborted) {
      try {
        await this.#tick();
        said = "";
      } catch (cause) {
        const text = `The stream of the database cannot be looked at: ${messageOf(cause)}`;
        if (!signal.aborted && text !== said) onEvent("warn", text);
        said = text;
        this.#verdict = { state: "broken", why: text.slice(0, 500), seed: false };
      }
      await clock.sleep(everyMs, signal).catch(() => {}); // Stopped: the loop's condition ends it.
    }
  }

  async #tick(): Promise<void> {
    const { config, isSource, self } = this.#options;
    const now = self();
    if (now === null) return;
    if (config.role === "slave") return await this.#tickTarget(now);
    if (!isSource()) return await this.#tickAtRest(now);
    this.#restingSinceMs = null;
    this.#retired = false;
    this.#wasSource = true;
    await this.#tickSource();
  }

  /** The slave: a subscription that outlived its promotion is dropped as soon as that works. */
  async #tickTarget(now: StreamSelf): Promise<void> {
    const { clock, onEvent } = this.#options;
    this.#verdict = { state: "off", why: "", seed: false };
    if (!now.serving) {
      this.#promoted = false;
      return;
    }
    if (this.#promoted || clock.nowMs() - this.#promotedAtMs < PROMOTE_AGAIN_MS) return;
    if (now.state === "taking-over") return; // The step does it.
    const text = await this.promote(this.#end.signal);
    onEvent("info", `Again, as this host serves: ${text}`);
  }

  /** A master that is no source: no commit waits for anybody; later its slots go. */
  async #tickAtRest(now: StreamSelf): Promise<void> {
    const { clock, onEvent, work } = this.#options;
    this.#verdict = { state: "off", why: "", seed: false };
    this.#lag = null;
    if (this.#wasSource !== false) {
      this.#meter.reset();
      // Whoever served meanwhile: the next seed is no fault of the stream.
      this.#faults = 0;
      this.#faultAtMs = -Infinity;
      this.#target = null;
      if (this.#sync.wanted || this.#wasSource === null) {
        await this.#sync.release("this host rests");
      }
      this.#wasSource = false;
      this.#requested = false;
    }
    if (now.state !== "standby") {
      this.#restingSinceMs = null;
      return;
    }
    this.#restingSinceMs ??= clock.nowMs();
    if (this.#retired || clock.nowMs() - this.#restingSinceMs < RETIRE_AFTER_MS) return;
    const options = { deadlineMs: WORK_DEADLINE_MS, signal: this.#end.signal };
    const dropped = await work.ask("stream-drop-slots", { keep: null, force: true }, options);
    await work.close();
    this.#retired = true;
    if (dropped.length > 0) {
      onEvent("info", `The other host serves: dropped the stale slot ${dropped.join(", ")}`);
    }
  }

  async #tickSource(): Promise<void> {
    const { stateDir, clock, watch } = this.#options;
    const arming = readArming(stateDir);
    if (!arming.armed) {
      this.#verdict = {
        state: "off",
        why: "it is not set up: run relais stream setup; until then whole copies are made",
        seed: false,
      };
      return;
    }
    const { signal } = this.#end;
    const source = await watch.ask("stream-source", {}, { deadlineMs: LOOK_DEADLINE_MS, signal });
    const nowMs = clock.nowMs();
    this.#source = source;
    const slot = currentSlot(source.slots);
    this.#lag = slot === null ? null : this.#meter.look({
      nowMs,
      lsn: source.lsn,
      replayedLsn: slot.active ? source.sender?.replayLsn ?? null : null,
      exactMs: source.sender?.replayLagMs ?? null,
      behindBytes: slot.behindBytes,
    });
    await this.#sync.look(source, { nowMs, lagBytes: this.#lag?.bytes ?? Infinity });
    if (slot !== null && slot.confirmed !== this.#confirmed) {
      this.#confirmed = slot.confirmed;
      this.#errorsAtProgress = this.#target?.subscription?.applyErrors ?? this.#errorsAtProgress;
    }
    if (nowMs - this.#schemaAtMs >= SCHEMA_EVERY_MS && this.#seeding === null) {
      this.#schemaAtMs = nowMs;
      this.#schema = await watch.ask("stream-schema", {}, { deadlineMs: LOOK_DEADLINE_MS, signal });
    }
    this.#judge(source, arming.seededSchema, nowMs);
    const everyMs = slot?.active === true ? ASK_EVERY_MS : ASK_BROKEN_EVERY_MS;
    if (slot !== null && this.#seeding === null && nowMs - this.#askedAtMs >= everyMs) {
      this.#askedAtMs = nowMs;
      this.#asking ??= this.#ask().finally(() => this.#asking = null);
    }
  }

  #judge(source: SourceState, seededSchema: string | null, nowMs: number): void {
    const { onEvent, requestSeed } = this.#options;
    const before = this.#verdict.state;
    const verdict = judge({
      source,
      target: this.#target,
      errorsAtProgress: this.#errorsAtProgress,
      seededSchema,
      schema: this.#schema,
      lagMs: this.#lag?.ms ?? 0,
    });
    if (this.#seeding !== null) {
      this.#verdict = { state: "seeding", why: "a whole copy is on its way", seed: false };
      return;
    }
    this.#verdict = verdict;
    if (before !== verdict.state) {
      const well = verdict.state === "streaming";
      // The first seed is no fault.
      const calm = well || (verdict.seed && source.slots.length === 0);
      onEvent(
        calm ? "info" : "warn",
        well ? "The slave follows the database" : `The stream of the database: ${verdict.why}`,
      );
    }
    if (verdict.state === "streaming" && nowMs - this.#faultAtMs > WELL_AGAIN_MS) this.#faults = 0;
    if (!verdict.seed) return;
    // The first one is no fault: only the back-off of failed copies counts.
    if (source.slots.length === 0 || this.#requested) return requestSeed();
    if (nowMs - this.#faultAtMs < this.#options.seedPauseMs(this.#faults)) return;
    this.#faultAtMs = nowMs;
    this.#faults += 1;
    this.#reseeds += 1;
    this.#requested = true;
    onEvent("info", `A new copy of the database seeds the stream, as ${verdict.why}`);
    requestSeed();
  }

  /** Carries the sequences and hears how the slave is. */
  async #ask(): Promise<void> {
    const { config, work, transport, self } = this.#options;
    const now = self();
    if (now === null) return;
    const { localTables } = config.replication.database!;
    const { signal } = this.#end;
    const options = { deadlineMs: WORK_DEADLINE_MS, signal };
    try {
      const sequences = await work.ask("stream-sequences", { localTables }, options);
      await work.close();
      const facts = { epoch: now.epoch, origin: config.role, fingerprint: config.fingerprint };
      const target = await askPeer<"note">(
        transport,
        { op: "note", sequences: [...sequences] },
        { facts, ...options },
      );
      if (this.#target === null) this.#errorsAtProgress = target.subscription?.applyErrors ?? 0;
      if (this.#seeding === null) this.#target = target;
    } catch (error) {
      // That the slave is away is what the slot says; the reason is worth a line.
      if (!signal.aborted) {
        this.#verdict = { ...this.#verdict, why: messageOf(error).slice(0, 500) };
      }
    }
  }
}
