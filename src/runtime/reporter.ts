/**
 * What this node says of itself to its peer (`GET /health`) and to people (status, alerts).
 *
 * @module
 */

import type { RightKeeper } from "../arbiter/right_keeper.ts";
import type { LocalConfig } from "../config/types.ts";
import type { StepResult } from "../core/step.ts";
import type { Fencer } from "../fencing/fencer.ts";
import type { HealthBody, StatusDocument } from "../health/types.ts";
import type { Addressee } from "../heartbeat/addressee.ts";
import type { Keyring } from "../heartbeat/keyring.ts";
import type { Clock } from "../os/clock.ts";
import type { Replicator } from "../replication/replicator.ts";
import type { Gate } from "../services/gate.ts";
import type { Shield } from "../services/shield.ts";
import { arbiterAlert, arbiterStatus } from "./arbiter_status.ts";
import type { Alerts } from "./alerts.ts";
import type { ConfigNews } from "./config_news.ts";
import type { Counters } from "./counters.ts";
import { oldCopyText, withAlarm } from "./copy_age.ts";
import { dataSetStatus, formatAge } from "./data_sets.ts";
import { fencingAlert, fencingStatus } from "./fencing_status.ts";
import type { GoalRunner } from "./goal_runner.ts";
import type { History } from "./history.ts";
import type { IsolationWatch } from "./isolation_watch.ts";
import type { Links } from "./links.ts";
import type { Loop } from "./loop.ts";
import type { Observer } from "./observer.ts";
import { readVerification, verificationAlert } from "./verification.ts";
import {
  gateAlert,
  type Identity,
  isServing,
  makeHealth,
  makeStatus,
  peerMismatch,
} from "./status.ts";
import type { VipKeeper } from "./vip_keeper.ts";

/** How long the status of the data sets is kept before it is read again for the peer. */
const DATA_SETS_FRESH_MS = 5000;

/** A witness has this long to answer for the first time before its silence is told. */
const WITNESS_PATIENCE_MS = 30_000;

const UNPROVED_ALERT =
  "What answers at the peer's address does not prove that it has our cluster key: it counts as no answer. " +
  "Compare /etc/relais/cluster.key on both hosts (relais doctor does); if it is the same, it is not the peer";

const ROTATION_ALERT =
  "A replacement of the cluster key is under way: this node accepts more than one. On the host where it was " +
  "begun: relais keygen --rotate";

/** What {@linkcode Reporter} reads from. */
export interface ReporterOptions {
  readonly config: LocalConfig;
  readonly clock: Clock;
  readonly identity: Identity;
  readonly loop: Loop;
  readonly observer: Observer;
  readonly links: Links;
  readonly keeper: VipKeeper;
  readonly runner: GoalRunner;
  readonly gate: Gate;
  readonly shield: Shield;
  readonly replicator: Replicator | null;
  readonly fencer?: Fencer | null;
  readonly alerts: Alerts;
  readonly history: History;
  readonly isolation: IsolationWatch;
  readonly serviceNames: readonly string[];
  /** A cluster key is loaded. */
  readonly hasKey: boolean;
  /** Reasons why this host could not serve, found at start. */
  readonly localFaults: readonly string[];
  /** What the HTTP side counted. */
  readonly counters: Readonly<Counters>;
  /** Null: no arbiter. */
  readonly right: RightKeeper | null;
  readonly configNews: Readonly<ConfigNews>;
  readonly stateDir: string;
  readonly keyring?: Keyring;
  readonly addressee?: Addressee;
}

/** See the module. */
export class Reporter {
  readonly #options: ReporterOptions;
  #seq = 0;
  #sets: StatusDocument["dataSets"] = [];
  #setsReadAt = -Infinity;
  #verification: StatusDocument["verification"] = null;
  #verificationReadAt = -Infinity;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Counts on: the peer takes an older number of the same process for an older word. */
  inherit(former: Reporter): void {
    this.#seq = former.#seq;
  }

  /** The body of `GET /health`. @throws {Error} before the node has started */
  health(): HealthBody {
    const { config, identity, keyring, addressee } = this.#options;
    const dataSets = this.#dataSets({ maxAgeMs: DATA_SETS_FRESH_MS });
    const { stream } = this;
    const result = this.#result();
    const input = { config, identity, result, dataSets, stream, right: this.#right(result) };
    const keys = keyring?.ids ?? [];
    return makeHealth({ ...input, keys, addressee: addressee?.name ?? "" }, this.#seq++);
  }

  /** What the peer is told is a promise: see {@linkcode RightKeeper.consent}. */
  #right(result: StepResult): HealthBody["arbiter"] {
    const { right, clock, keeper } = this.#options;
    if (right === null) return null;
    const now = clock.nowMs();
    const consents = right.consent(now, {
      serves: isServing(result),
      vipsGone: keeper.isGone,
      // What a dead peer said last is no reason to promise: anybody may read /health, for ever.
      peerReaches: result.situation.peer?.arbiter?.reaches ?? null,
    });
    return { reaches: right.evidence(now).reaches, consents };
  }

  /** The status document. @throws {Error} before the node has started */
  status(): StatusDocument {
    const { config, clock, identity, loop, links, keeper, fencer } = this.#options;
    const { refusals, ...counters } = this.#options.counters;
    const now = clock.nowMs();
    const wallNow = clock.wallMs();
    return makeStatus({
      config,
      configLoadedAt: this.#options.configNews.loadedAt,
      identity,
      keys: this.#options.keyring?.ids ?? [],
      refusals,
      result: this.#result(),
      observation: this.#options.observer.last,
      views: links.views,
      httpCounters: (network) => links.httpCounters(network),
      report: links.report,
      serviceNames: this.#options.serviceNames,
      gate: this.#options.gate.state(),
      shield: this.#options.shield.up,
      dataSets: this.#dataSets({ maxAgeMs: 0 }),
      stream: this.stream,
      verification: this.verification({ maxAgeMs: 0 }),
      fencing: fencingStatus(fencer ?? null, { state: loop.state, now, wallNow }),
      arbiter: this.#arbiter(),
      goal: this.#options.runner.current,
      history: this.#options.history.entries,
      alerts: this.alerts,
      counters: {
        ...counters,
        icmpIgnored: links.pinger.counters.ignored,
        arpGarbage: keeper.garbage,
        healthUnproved: links.unproved,
      },
      loop: { lagMs: loop.lagMs, lastTickAgoMs: Math.max(0, loop.ageMs) },
      now,
      wallNow,
    });
  }

  /** The arbiter, for people; null: there is none. */
  #arbiter(): StatusDocument["arbiter"] {
    const { config, right, clock, loop } = this.#options;
    if (config.arbiter === null || right === null) return null;
    const { consentUntil } = loop.state;
    const now = clock.nowMs();
    return arbiterStatus({
      config: config.arbiter,
      evidence: right.evidence(now),
      report: right.report,
      consentUntil,
      byConsent: loop.state.name === "active" && this.#result().situation.byConsent,
      now,
    });
  }

  /** The stream of the database; null: there is none. */
  get stream(): StatusDocument["stream"] {
    return this.#options.replicator?.stream ?? null;
  }

  /** A stream that does not run is never silent. */
  #streamAlert(): string | null {
    const { stream } = this;
    if (stream === null || this.#options.loop.state.name !== "active") return null;
    if (stream.state === "streaming" || stream.state === "seeding") return null;
    const lag = stream.lagMs === null ? "" : `; ${formatAge(stream.lagMs)} behind`;
    return `The stream of the database is ${stream.state}: ${stream.why}${lag}`.slice(0, 2000);
  }

  /** First what holds as long as its cause does (in no log), then what was raised lately. */
  get alerts(): readonly string[] {
    const { config, hasKey, isolation, links, localFaults, keeper, alerts, gate } = this.#options;
    const standing = [
      hasKey
        ? null
        : "No cluster key: this node watches and acts on silence only; run: relais keygen",
      links.isUnproved ? UNPROVED_ALERT : null,
      (this.#options.keyring?.keys.length ?? 0) > 1 ? ROTATION_ALERT : null,
      isolation.alert,
      peerMismatch(config, links.report?.body ?? null),
      gateAlert(gate.state()),
      this.#options.configNews.refusal,
      this.#streamAlert(),
      fencingAlert(this.#options.fencer ?? null),
      arbiterAlert(this.#arbiter(), this.#options.loop.state.name),
    ].filter((text) => text !== null);
    const lasting = [...this.#silentWitnesses(), ...this.#failedCopies(), ...this.#oldCopies()];
    const proof = verificationAlert(this.verification({ maxAgeMs: DATA_SETS_FRESH_MS }));
    if (proof !== null) lasting.push(proof);
    return [...standing, ...lasting, ...localFaults, ...keeper.problems, ...alerts.texts];
  }

  /** A witness that never answered does not count (`Links.knownWitnesses`): somebody should know. */
  #silentWitnesses(): string[] {
    const { config, clock, identity, links } = this.#options;
    if (clock.nowMs() - identity.startedAt < WITNESS_PATIENCE_MS) return [];
    const known = new Set(links.knownWitnesses);
    return config.networks.flatMap(({ name, witnesses }) =>
      witnesses.filter((witness) => !known.has(witness)).map((witness) =>
        `The witness ${witness} of network ${name} has never answered a ping, so it does not count: ` +
        "let it answer, or name another one"
      )
    );
  }

  /** A copy that fails is never silent. */
  #failedCopies(): string[] {
    return this.#dataSets({ maxAgeMs: DATA_SETS_FRESH_MS }).flatMap(
      ({ set, direction, lastError, ageMs }) => {
        if (lastError === null) return [];
        // Only the node that serves sends: elsewhere an old failure asks nothing of the operator.
        if (direction === "sent" && this.#options.loop.state.name !== "active") return [];
        const good = ageMs === null
          ? "there is no good copy yet"
          : `last good: ${formatAge(ageMs)} ago`;
        return [
          `The copy of the ${set} (${direction}) fails: ${lastError}; ${good}`.slice(0, 2000),
        ];
      },
    );
  }

  /** A copy that nobody renews is never silent either. */
  #oldCopies(): string[] {
    return this.#dataSets({ maxAgeMs: DATA_SETS_FRESH_MS })
      .flatMap((entry) => entry.tooOld ? [oldCopyText(entry)] : []);
  }

  /** What is known of each set, not older than some seconds; for what watches over the copies. */
  get dataSets(): StatusDocument["dataSets"] {
    return this.#dataSets({ maxAgeMs: DATA_SETS_FRESH_MS });
  }

  /** The last proof of the copies on this host; read again when what is known is older than `maxAgeMs`. */
  verification({ maxAgeMs }: { readonly maxAgeMs: number }): StatusDocument["verification"] {
    const { config, clock, stateDir, replicator } = this.#options;
    const now = clock.nowMs();
    if (replicator === null) return null;
    if (now - this.#verificationReadAt >= maxAgeMs) {
      this.#verificationReadAt = now;
      const everyMs = config.replication.verify?.everyMs ?? null;
      const standsBy = config.role === "slave" && this.#options.loop.state.name === "standby";
      const wallMs = clock.wallMs();
      this.#verification = readVerification(stateDir, { wallMs, everyMs, standsBy });
    }
    return this.#verification;
  }

  #result(): StepResult {
    const { last, state } = this.#options.loop;
    if (last === null) throw new Error("Cannot report as the node has not started");
    return { ...last, state };
  }

  #dataSets({ maxAgeMs }: { readonly maxAgeMs: number }): StatusDocument["dataSets"] {
    const { replicator, clock } = this.#options;
    const now = clock.nowMs();
    // The peer asks for our health several times a second; the states of the sets are files.
    if (now - this.#setsReadAt >= maxAgeMs) {
      this.#setsReadAt = now;
      this.#sets = replicator === null
        ? []
        : dataSetStatus(replicator.status()).map((entry) =>
          withAlarm(entry, {
            role: this.#options.config.role,
            state: this.#options.loop.state,
            now,
          })
        );
    }
    return this.#sets;
  }
}
