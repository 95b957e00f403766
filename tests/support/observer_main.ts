/**
 * The outside observer as a process of its own, for `observer.ts`. One thread, one loop: send what is due,
 * wait in ppoll(2) until the next is due, take what came. Late sending (a busy machine) is caught up with
 * one request at a time and is visible as `maxSendGapMs`.
 *
 * Argument: JSON array of probe targets. Standard input: `mark NAME`, `report`,
 * `strip TARGET FROM_MS TO_MS COUNT` (see `Series.strip`); the observer ends at its end. Output: one JSON object per line, of type {@linkcode ObserverMessage}.
 *
 * @module
 */

import { waitReadable } from "./blocking_socket.ts";
import { openProbe, type Probe, type ProbeTarget } from "./probes.ts";
import { Series, type Summary } from "./series.ts";

/** An answer that takes longer than this is none: the caller has given up talking. */
export const ANSWER_WITHIN_MS = 200;

/** What the observer prints. Times are milliseconds on its own monotonic clock. */
export type ObserverMessage =
  | { readonly type: "ready" }
  /** The target stopped answering: `sinceMs` is when the last answered request was sent. */
  | { readonly type: "down"; readonly target: string; readonly sinceMs: number }
  /** The target answers again; `outageMs` as in `Outage`. */
  | {
    readonly type: "up";
    readonly target: string;
    readonly outageMs: number;
    readonly by: string;
  }
  /** Somebody else answers than before. */
  | { readonly type: "holder"; readonly target: string; readonly by: string }
  | { readonly type: "marked"; readonly phase: string }
  | { readonly type: "strip"; readonly parts: readonly (string | null)[] }
  | { readonly type: "report"; readonly phases: readonly PhaseReport[] };

/** One phase, for each target by name. */
export interface PhaseReport {
  readonly phase: string;
  readonly targets: Readonly<Record<string, Summary>>;
}

/** Silence of so many requests (but at least {@linkcode DOWN_AFTER_MS}) is told as `down`. */
const DOWN_AFTER_REQUESTS = 4;
const DOWN_AFTER_MS = 20;

interface Watched {
  readonly probe: Probe;
  readonly series: Series;
  nextAt: number;
  lastAnswered: number;
  down: boolean;
  holder: string | null;
  /** First request of each phase. */
  readonly phaseStarts: number[];
}

function main(): void {
  const targets = JSON.parse(Deno.args[0] ?? "[]") as ProbeTarget[];
  const start = performance.now();
  const watched = targets.map((target): Watched => ({
    probe: openProbe(target),
    series: new Series(),
    nextAt: start,
    lastAnswered: -1,
    down: false,
    holder: null,
    phaseStarts: [0],
  }));
  const phases = ["start"];
  const fds = [0, ...watched.map(({ probe }) => probe.fd)];
  let command = "";
  let previousTurn = start;
  print({ type: "ready" });
  while (true) {
    const now = performance.now();
    for (const each of watched) sendDue(each, now);
    const due = Math.min(...watched.map(({ nextAt }) => nextAt));
    const readable = waitReadable(fds, due - performance.now());
    const woken = performance.now();
    // After a stall of this process answers are taken as having come when it last looked.
    const receivedAt = woken - previousTurn > 50 ? previousTurn : woken;
    previousTurn = woken;
    for (const each of watched) {
      if (readable.includes(each.probe.fd)) receive(each, receivedAt);
      tellSilence(each, receivedAt);
    }
    if (readable.includes(0)) {
      const text = readInput();
      if (text === null) return;
      command += text;
      while (command.includes("\n")) {
        const end = command.indexOf("\n");
        obey(command.slice(0, end), { watched, phases });
        command = command.slice(end + 1);
      }
    }
  }
}

function sendDue(each: Watched, now: number): void {
  if (now < each.nextAt) return;
  each.probe.send(each.series.sent(performance.now()));
  each.nextAt += each.probe.target.everyMs;
  // A backlog is caught up with, but not for longer than a second.
  if (now - each.nextAt > 1_000) each.nextAt = now;
}

function receive(each: Watched, now: number): void {
  const { series, probe } = each;
  for (const { index, by } of probe.receive()) {
    const sentAt = series.sentAt(index);
    if (sentAt === undefined) continue;
    if (by === null) {
      series.refused(index);
      continue;
    }
    const rttMs = Math.max(0, now - sentAt);
    if (rttMs > ANSWER_WITHIN_MS) continue;
    const already = series.isAnswered(index);
    series.answered(index, { rttMs, by });
    if (already || index <= each.lastAnswered) continue;
    if (each.down) {
      const since = series.sentAt(Math.max(0, each.lastAnswered)) ?? sentAt;
      print({ type: "up", target: probe.target.name, outageMs: sentAt - since, by });
    }
    each.down = false;
    each.lastAnswered = index;
    if (each.holder !== by) print({ type: "holder", target: probe.target.name, by });
    each.holder = by;
  }
}

function tellSilence(each: Watched, now: number): void {
  const { series, lastAnswered } = each;
  if (each.down || series.length - 1 - lastAnswered < DOWN_AFTER_REQUESTS) return;
  const oldest = series.sentAt(lastAnswered + 1);
  if (oldest === undefined || now - oldest < DOWN_AFTER_MS) return;
  each.down = true;
  const sinceMs = series.sentAt(Math.max(0, lastAnswered)) ?? oldest;
  print({ type: "down", target: each.probe.target.name, sinceMs });
}

function obey(
  line: string,
  { watched, phases }: { readonly watched: readonly Watched[]; readonly phases: string[] },
): void {
  if (line.startsWith("mark ")) {
    const phase = line.slice("mark ".length);
    phases.push(phase);
    for (const each of watched) each.phaseStarts.push(each.series.length);
    print({ type: "marked", phase });
  } else if (line === "report") {
    print({ type: "report", phases: phases.map((phase, i) => report(phase, i, watched)) });
  } else if (line.startsWith("strip ")) {
    const [, target, from, to, count] = line.split(" ");
    const { series } = watched.find(({ probe }) => probe.target.name === target)!;
    print({ type: "strip", parts: series.strip(Number(from), Number(to), Number(count)) });
  } else {
    throw new Error(`Cannot obey "${line}" as the commands are: mark, report, strip`);
  }
}

function report(phase: string, number: number, watched: readonly Watched[]): PhaseReport {
  const settledBefore = performance.now() - ANSWER_WITHIN_MS;
  const targets: Record<string, Summary> = {};
  for (const { probe, series, phaseStarts } of watched) {
    const from = phaseStarts[number] ?? 0;
    let to = phaseStarts[number + 1] ?? series.length;
    // The youngest requests may still be answered: neither answered nor lost.
    while (to > from && series.sentAt(to - 1)! > settledBefore && !series.isAnswered(to - 1)) to--;
    targets[probe.target.name] = series.summary(from, to);
  }
  return { phase, targets };
}

const input = new Uint8Array(4096);

/** What stands in the input now; null at its end. */
function readInput(): string | null {
  const length = Deno.stdin.readSync(input);
  return length === null ? null : new TextDecoder().decode(input.subarray(0, length));
}

function print(message: ObserverMessage): void {
  const bytes = new TextEncoder().encode(JSON.stringify(message) + "\n");
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}

if (import.meta.main) main();
