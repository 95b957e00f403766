/**
 * Tells at once that links, addresses or routes have changed, from a long-running `ip monitor`
 * (ip-monitor(8)). It is a hint, not the truth: whoever is told reads the kernel, and reads it now and
 * then without being told, too.
 *
 * @module
 */

import { type Clock, systemClock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { killChild, spawnTool } from "../os/process.ts";
import { isOurLabel, ROUTE_PROTOCOL } from "./mark.ts";

/** What changed. */
export type ChangeKind = "link" | "address" | "route";

/** Changes of one kind are told at once, then at most once in this many milliseconds. */
const QUIET_MS = 100;
/** Pauses before `ip monitor` is started again: doubled from the first to the last. */
const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 30_000;
/** A run that lasted this long was a good one: the pause starts over. */
const GOOD_RUN_MS = 60_000;
/** An unfinished line is thrown away beyond this length. */
const MAX_LINE = 64 * 1024;

/** Options of {@linkcode LinkMonitor}. */
export interface LinkMonitorOptions {
  readonly onChange: (kind: ChangeKind) => void;
  /** Told when `ip monitor` ends or can't be started; it is started again after a pause. */
  readonly onTrouble?: (text: string) => void;
  readonly clock?: Clock;
  /** How to call `ip`; default `["ip"]`. */
  readonly ipCommand?: readonly string[];
}

/** Watches the kernel's link, address and route notifications. */
export class LinkMonitor {
  readonly #options: LinkMonitorOptions;
  readonly #clock: Clock;
  readonly #timers = new Map<ChangeKind, { again: boolean; id: ReturnType<typeof setTimeout> }>();
  #stopping: AbortController | null = null;
  #done: Promise<void> = Promise.resolve();

  constructor(options: LinkMonitorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Starts watching; does nothing when it watches already. */
  start(): void {
    if (this.#stopping !== null) return;
    this.#stopping = new AbortController();
    this.#done = this.#watch(this.#stopping.signal);
  }

  /** Ends `ip monitor` and waits for its end. No change is told any more. */
  async stop(): Promise<void> {
    this.#stopping?.abort();
    for (const { id } of this.#timers.values()) clearTimeout(id);
    this.#timers.clear();
    await this.#done;
    this.#stopping = null;
  }

  async #watch(signal: AbortSignal): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      const startedAt = this.#clock.nowMs();
      const trouble = await this.#run(signal).catch(messageOf);
      if (signal.aborted) return;
      const lasted = this.#clock.nowMs() - startedAt;
      if (lasted >= GOOD_RUN_MS) pauseMs = FIRST_PAUSE_MS;
      this.#options.onTrouble?.(
        `Cannot watch the network as ip monitor ended: ${trouble}; again in ${pauseMs} ms`,
      );
      await this.#clock.sleep(pauseMs, signal).catch(() => {
        // Stopped: the loop ends.
      });
      pauseMs = Math.min(LAST_PAUSE_MS, pauseMs * 2);
      // Whatever changed meanwhile was not told.
      if (!signal.aborted) (["link", "address", "route"] as const).forEach((k) => this.#tell(k));
    }
  }

  /** One run of `ip monitor`; resolves to why it ended. */
  async #run(signal: AbortSignal): Promise<string> {
    const [tool = "ip", ...args] = this.#options.ipCommand ?? ["ip"];
    const child = spawnTool(tool, {
      args: [...args, "-N", "-oneline", "monitor", "label", "link", "address", "route"],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    });
    const kill = (): void => killChild(child);
    signal.addEventListener("abort", kill, { once: true });
    if (signal.aborted) kill();
    try {
      let rest = "";
      // No TextDecoderStream: it would do the work of three streams for each of our own renewals.
      const decoder = new TextDecoder();
      for await (const bytes of child.stdout) {
        const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        if (rest.length > MAX_LINE) rest = "";
        for (const line of lines) {
          const kind = changeOf(line);
          if (kind !== null && !signal.aborted) this.#tell(kind);
        }
      }
    } finally {
      kill();
      signal.removeEventListener("abort", kill);
      await child.status;
    }
    const { code, signal: by } = await child.status;
    return by === null ? `exit status ${code}` : `killed by ${by}`;
  }

  /** The first of a burst at once, the rest together once it is quiet. */
  #tell(kind: ChangeKind): void {
    const waiting = this.#timers.get(kind);
    if (waiting !== undefined) {
      waiting.again = true;
      return;
    }
    const id = setTimeout(() => {
      const again = this.#timers.get(kind)?.again ?? false;
      this.#timers.delete(kind);
      if (again) this.#tell(kind);
    }, QUIET_MS);
    this.#timers.set(kind, { again: false, id });
    this.#options.onChange(kind);
  }
}

/**
 * What one line of `ip -N -oneline monitor label` tells; null for what does not matter: the renewal of
 * our own addresses and routes each second, and the kernel's own table, which follows the addresses.
 */
export function changeOf(line: string): ChangeKind | null {
  const match = /^\[(LINK|ADDR|ROUTE)\](Deleted )?(.*)$/.exec(line);
  if (match === null) return null;
  const [, what, deleted, rest = ""] = match;
  if (what === "LINK") return "link";
  if (what === "ADDR") {
    if (deleted !== undefined) return "address";
    const label = /\binet .* (\S+?)\\/.exec(rest)?.[1] ?? null;
    const ours6 = / nodad .*\bnoprefixroute\b.* valid_lft \d{1,3}sec/.test(rest);
    return isOurLabel(label) || ours6 ? null : "address";
  }
  if (/ table 255 /.test(rest)) return null;
  const ours = new RegExp(` proto ${ROUTE_PROTOCOL} `).test(rest);
  return ours && deleted === undefined ? null : "route";
}
