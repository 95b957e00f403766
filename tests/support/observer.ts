/**
 * The outside observer, as the tests use it: a process in a machine of the lab that asks the VIPs all the
 * time and reports what a client would have lived through.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { HostProcess } from "./host_process.ts";
import type { TestHost } from "./host.ts";
import type { ObserverMessage, PhaseReport } from "./observer_main.ts";
import { poll } from "./poll.ts";
import type { ProbeTarget } from "./probes.ts";
import type { Summary } from "./series.ts";

export type { PhaseReport, ProbeTarget, Summary };

const DEADLINE_MS = 20_000;
/** Events that are kept for tests to look at. */
const MAX_EVENTS = 10_000;

/** What the observer says by itself, with the time on the test's own clock. */
export type ObserverEvent =
  & Extract<ObserverMessage, { readonly type: "up" | "down" | "holder" }>
  & { readonly at: number };

/** A running observer. */
export class Observer {
  readonly #process: HostProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  readonly #state = new Map<string, { up: boolean; by: string | null }>();
  #ready = false;
  #marked = 0;
  readonly #reports: (readonly PhaseReport[])[] = [];
  readonly #strips: (readonly (string | null)[])[] = [];
  #onEvent: (event: ObserverEvent) => void = () => {};

  /** The newest events, oldest first. */
  readonly events: ObserverEvent[] = [];

  private constructor(process: HostProcess) {
    this.#process = process;
    this.#input = process.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** Starts asking `targets` from `host`; returns when the first requests are on their way. */
  static async start(
    host: Pick<TestHost, "spawnPiped">,
    targets: readonly ProbeTarget[],
  ): Promise<Observer> {
    const script = fileURLToPath(new URL("./observer_main.ts", import.meta.url));
    const deno = [Deno.execPath(), "run", "--no-check", "--allow-all", "--quiet"];
    const observer = new Observer(
      host.spawnPiped([...deno, script, JSON.stringify(targets)]),
    );
    await observer.#wait(() => observer.#ready, "the observer's start");
    return observer;
  }

  /** Calls `listener` for each event from now on. */
  listen(listener: (event: ObserverEvent) => void): void {
    this.#onEvent = listener;
  }

  /** The target answers now, as far as is known; false before its first answer. */
  isUp(target: string): boolean {
    return this.#state.get(target)?.up === true;
  }

  /** Who answers for the target: the MAC, or the name of the SIP server. */
  holder(target: string): string | null {
    return this.#state.get(target)?.by ?? null;
  }

  /** Begins a new phase of the report. */
  async mark(phase: string): Promise<void> {
    const before = this.#marked;
    await this.#send(`mark ${phase}`);
    await this.#wait(() => this.#marked > before, `the mark "${phase}"`);
  }

  /** Sums of all phases so far. */
  async report(): Promise<readonly PhaseReport[]> {
    const before = this.#reports.length;
    await this.#send("report");
    return await this.#wait(() => this.#reports[before], "the observer's report");
  }

  /** Sums of one phase for one target (the last phase of that name). */
  async summary(phase: string, target: string): Promise<Summary> {
    const phases = await this.report();
    const found = phases.findLast((each) => each.phase === phase)?.targets[target];
    if (found !== undefined) return found;
    throw new Error(`Cannot find phase "${phase}" with target "${target}" in the report`);
  }

  /** Who answered in each of `count` equal parts of a time, null where a request was lost. */
  async strip(
    target: string,
    time: { readonly fromMs: number; readonly toMs: number; readonly count: number },
  ): Promise<readonly (string | null)[]> {
    const before = this.#strips.length;
    await this.#send(`strip ${target} ${time.fromMs} ${time.toMs} ${time.count}`);
    return await this.#wait(() => this.#strips[before], "the observer's strip");
  }

  /** Waits until the target answers, by `holder` if given. */
  async untilUp(
    target: string,
    options: { readonly deadlineMs: number; readonly holder?: string },
  ): Promise<void> {
    const { deadlineMs, holder } = options;
    await poll(
      () => this.isUp(target) && (holder === undefined || this.holder(target) === holder),
      { deadlineMs, everyMs: 5, what: `an answer of ${target}${holder ? ` by ${holder}` : ""}` },
    );
  }

  /** Ends the observer; harmless when repeated. */
  async close(): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#process.ended(DEADLINE_MS);
    await this.#reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #send(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(line + "\n"));
  }

  async #wait<T>(look: () => T, what: string): Promise<Exclude<T, null | undefined | false>> {
    return await poll(() => {
      if (!this.#process.running) throw new Error(`Cannot see ${what} as the observer has ended`);
      return look();
    }, { deadlineMs: DEADLINE_MS, everyMs: 2, what });
  }

  async #read(): Promise<void> {
    let text = "";
    for await (const chunk of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line) as ObserverMessage);
    }
  }

  #take(message: ObserverMessage): void {
    if (message.type === "ready") this.#ready = true;
    else if (message.type === "marked") this.#marked++;
    else if (message.type === "strip") this.#strips.push(message.parts);
    else if (message.type === "report") this.#reports.push(message.phases);
    else this.#event({ ...message, at: performance.now() });
  }

  #event(event: ObserverEvent): void {
    const before = this.#state.get(event.target);
    const by = event.type === "down" ? before?.by ?? null : event.by;
    this.#state.set(event.target, { up: event.type !== "down", by });
    this.events.push(event);
    if (this.events.length > MAX_EVENTS) this.events.shift();
    this.#onEvent(event);
  }
}
