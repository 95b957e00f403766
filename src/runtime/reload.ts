/**
 * `relais reload`, SIGHUP, `systemctl reload`: reads the configuration and the key again and applies what
 * differs, whole or not at all. How, and why so: docs/design/reload.md.
 *
 * @module
 */

import { type ConfigChange, configChanges } from "../config/changes.ts";
import {
  ConfigError,
  formatIssue,
  identifyRole,
  IdentityError,
  loadConfig,
  localConfig,
} from "../config/load.ts";
import type { Config, LocalConfig } from "../config/types.ts";
import type { ReloadResult } from "../health/control_app.ts";
import { KeyError } from "../heartbeat/key.ts";
import type { Keyring } from "../heartbeat/keyring.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { getLog } from "../os/log.ts";
import type { Notifier } from "../os/notify.ts";
import type { ConfigNews } from "./config_news.ts";
import { ownAddresses } from "./preflight.ts";
import { findObjections } from "./reload_guards.ts";
import { beginServices, servicesNotes } from "./reload_services.ts";
import { refusalSentence, reloadText } from "./reload_text.ts";
import type { Running } from "./running.ts";

const log = getLog("reload");

/** A move in progress is waited for that long. */
const BUSY_WAIT_MS = 30_000;
const BUSY_POLL_MS = 50;

/** What {@linkcode Reloader} needs. */
export interface ReloaderOptions {
  readonly clock: Clock;
  readonly notifier: Notifier;
  readonly configNews: ConfigNews;
  /** Of who signs and checks; all see a change in the same moment. */
  readonly keyring: Keyring;
  readonly configPath: string;
  /** Null: there is no key file. @throws {KeyError} */
  readonly loadKeys: () => readonly Uint8Array[] | null;
  readonly current: () => Running;
  /** Makes what is to follow `current()`, without beginning anything of it. */
  readonly create: (config: LocalConfig, keys: readonly Uint8Array[] | null) => Running;
  /** From here on `current()` is this. */
  readonly onNext: (next: Running) => void;
}

type Keys = readonly Uint8Array[] | null;
type Outcome = Omit<ReloadResult, "ok" | "text">;

/** Reloads, one at a time. */
export class Reloader {
  readonly #options: ReloaderOptions;
  readonly #end = new AbortController();
  #isRunning = false;

  constructor(options: ReloaderOptions) {
    this.#options = options;
  }

  /** Reads and applies. Never throws; history, log and status know the result when this resolves. */
  async reload(): Promise<ReloadResult> {
    if (this.#isRunning) {
      return withText(nothing("busy", ["another reload is in progress: try again"]));
    }
    const { notifier } = this.#options;
    this.#isRunning = true;
    notifier.notify({ reloading: true });
    let outcome: Outcome;
    try {
      outcome = await this.#reload();
    } catch (error) {
      outcome = nothing("refused", [messageOf(error)]);
    } finally {
      this.#isRunning = false;
      notifier.notify({ ready: true });
    }
    const result = withText(outcome);
    this.#tell(result);
    return result;
  }

  /** The daemon ends: a reload in progress must not keep it. */
  close(): void {
    this.#end.abort(new Error("Cannot reload as the daemon ends"));
  }

  async #reload(): Promise<Outcome> {
    const { current } = this.#options;
    const read = await this.#read();
    if ("outcome" in read) return read;
    const { config, keys } = read;
    const changes = configChanges(current().config, config);
    const isKeyNew = !sameKeys(keys, current().keys);
    const told = { changes: sentences(changes, isKeyNew) };
    if (changes.length === 0 && !isKeyNew) return nothing("unchanged", []);
    const restarts = changes.filter(({ restart }) => restart !== null);
    if (restarts.length > 0) {
      const problems = restarts.map(({ key, restart }) => `${key}: restart needed (${restart})`);
      return { ...nothing("refused", problems), ...told };
    }
    return { ...await this.#applyWhenIdle(config, keys), ...told };
  }

  /** A move in progress is waited for, also one that began while the reload was being prepared. */
  async #applyWhenIdle(config: LocalConfig, keys: Keys): Promise<Outcome> {
    const { clock } = this.#options;
    const end = clock.nowMs() + BUSY_WAIT_MS;
    for (;;) {
      const busy = await this.#untilIdle(end);
      if (busy !== null) return nothing("busy", [`${busy}: try again`]);
      const outcome = await this.#apply(config, keys);
      if (outcome.outcome !== "busy" || clock.nowMs() >= end) return outcome;
      // What came between is waited for, by the same deadline.
    }
  }

  /** Reads both files; a result is why they cannot be used. */
  async #read(): Promise<{ config: LocalConfig; keys: Keys } | Outcome> {
    const { configPath, loadKeys, current } = this.#options;
    try {
      const config = await loadConfig(configPath);
      const role = await roleIn(config, current().config);
      const keys = loadKeys();
      if (keys === null && current().keys !== null) {
        throw new KeyError("Cannot read the cluster key as it is gone: the one in use stays");
      }
      return { config: localConfig(config, role), keys };
    } catch (error) {
      if (error instanceof ConfigError) {
        return nothing("bad-config", error.issues.map(formatIssue));
      }
      const isOurs = error instanceof KeyError || error instanceof IdentityError;
      if (isOurs) return nothing("misconfigured", [error.message]);
      return nothing("no-config", [`Cannot read ${configPath} as ${messageOf(error)}`]);
    }
  }

  /** Waits for a goal in progress; what it is when it does not end in time. */
  async #untilIdle(end: number): Promise<string | null> {
    const { clock, current } = this.#options;
    for (;;) {
      const { busyWith, isLeaving } = current().node;
      if (busyWith === null || isLeaving || clock.nowMs() >= end) return busyWith;
      await clock.sleep(BUSY_POLL_MS);
    }
  }

  async #apply(config: LocalConfig, keys: Keys): Promise<Outcome> {
    const { clock, configNews, current, create, keyring, onNext } = this.#options;
    const from = current();
    const { name, since } = from.node.loop.state;
    const to = create(config, keys);
    let undo = (): Promise<void> => Promise.resolve();
    const giveUp = async (outcome: Outcome): Promise<Outcome> => {
      to.node.discard();
      await undo();
      return outcome;
    };
    let started: readonly string[] = [];
    try {
      if (from.node.serves) {
        const { signal } = this.#end;
        ({ started, undo } = await beginServices(from.config.services, config.services, signal));
      }
      await to.node.prepare();
      const objections = await findObjections(from, to, clock);
      if (objections.length > 0) return await giveUp(nothing("refused", objections));
    } catch (error) {
      return await giveUp(nothing("refused", [messageOf(error)]));
    }
    // From here to the end of this turn nothing can come between.
    const { state } = from.node.loop;
    const moved = state.name !== name || state.since !== since;
    const busy = moved ? `this node became ${state.name} meanwhile` : from.node.busyWith;
    if (busy !== null) return await giveUp(nothing("busy", [`${busy}: try again`]));
    const { serves } = from.node;
    if (keys !== null) keyring.set(keys);
    onNext(to);
    configNews.loadedAt = clock.wallMs();
    await to.node.follow(from.node);
    const notes = servicesNotes(from.config.services, config.services, { serves, started });
    const peer = to.node.links.report?.body.fingerprint ?? config.fingerprint;
    const differs =
      "the peer runs another configuration: make the file equal there and run relais " +
      "reload there, too; until then nothing is copied and no move is planned";
    return {
      outcome: "applied",
      changes: [],
      problems: [],
      notes: peer === config.fingerprint ? notes : [...notes, differs],
    };
  }

  /** Log, history and status. */
  #tell(result: ReloadResult): void {
    const { configNews, current, clock } = this.#options;
    const { node } = current();
    const { outcome, ok, text } = result;
    if (outcome === "unchanged") configNews.loadedAt = clock.wallMs();
    if (ok) configNews.refusal = null;
    else if (outcome !== "busy") configNews.refusal = refusalSentence(result, configNews.loadedAt);
    const line = text.replaceAll(/\n\s*/g, "; ");
    if (ok) log.info(line, { event: "reload", outcome });
    else log.warn(line, { event: "reload", outcome });
    if (outcome !== "unchanged") node.note("RELOAD", line);
  }
}

/** The networks that both configurations know have the same addresses, so this host keeps its role. */
async function roleIn(config: Config, before: LocalConfig): Promise<LocalConfig["role"]> {
  const own = await ownAddresses();
  const isHere = config.networks.some(({ master, slave }) =>
    own.includes(master) || own.includes(slave)
  );
  if (!isHere) return before.role;
  const role = identifyRole(config, own);
  if (role === before.role) return role;
  throw new IdentityError(
    `Cannot become the ${role} while running as this host was the ${before.role}: restart needed`,
  );
}

function sentences(changes: readonly ConfigChange[], isKeyNew: boolean): string[] {
  return [
    ...changes.map(({ text }) => text),
    ...(isKeyNew ? ["the cluster key is another one"] : []),
  ];
}

function sameKeys(a: Keys, b: Keys): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length &&
    a.every((key, index) => key.toString() === b[index]?.toString());
}

function nothing(outcome: ReloadResult["outcome"], problems: readonly string[]): Outcome {
  return { outcome, changes: [], problems: [...problems], notes: [] };
}

function withText(outcome: Outcome): ReloadResult {
  const ok = outcome.outcome === "applied" || outcome.outcome === "unchanged";
  return { ok, text: reloadText(outcome), ...outcome };
}
