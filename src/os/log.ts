/**
 * The log: structured, one line for each decision, to the journal with fields when systemd runs us, to
 * a person's terminal with colours, else as logfmt.
 *
 * ```ts
 * configureLog({ level: "info", context: () => ({ node: "pbx-a", role: "master", state: "active" }) });
 * const log = getLog("vip");
 * log.info("VIP mounted", { event: "vip-mounted", vip: "10.20.0.10", why: "takeover" });
 * ```
 *
 * @module
 */

import { configureSync, getLogger, type LogRecord, resetSync } from "@logtape/logtape";
import { fstatSync } from "node:fs";
import { type Clock, systemClock } from "./clock.ts";
import {
  formatJson,
  formatLogfmt,
  formatPrefixed,
  formatPretty,
  type LogEntry,
} from "./log_format.ts";
import { RepeatLimiter } from "./log_limit.ts";
import { type ByteWriter, JournalSink, LineSink, type LogSink } from "./log_sink.ts";

/** The field names that mean the same everywhere; in the journal `RELAIS_EVENT`, `RELAIS_NODE`, … */
const LOG_KEYS = ["event", "node", "role", "state", "epoch", "rule", "why"] as const;

/** Fields of a record: the common names first, then any other. Values become text. */
export type LogFields = { readonly [key in typeof LOG_KEYS[number]]?: unknown } & {
  readonly [key: string]: unknown;
};

/** Levels from the chattiest on. */
export type LogLevelName = "debug" | "info" | "warning" | "error";

/**
 * `journal`: native protocol; `prefixed`: `<N>` lines; `pretty`: for people. `auto` picks `journal` when
 * standard error is the journal's, `pretty` on a terminal, else `logfmt`.
 */
export type LogFormat = "auto" | "journal" | "prefixed" | "pretty" | "logfmt" | "json";

/** One part of relais speaking. Messages are constant text; what varies goes into the fields. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Options of {@linkcode configureLog}. */
export interface LogOptions {
  /** Default `info`. */
  readonly level?: LogLevelName;
  /** Default `auto`. */
  readonly format?: LogFormat;
  /** Asked at every record: node, role, state, epoch as they are now. */
  readonly context?: () => LogFields;
  readonly clock?: Clock;
  /** For tests: instead of standard error. */
  readonly out?: ByteWriter;
  /** For tests: instead of `/run/systemd/journal/socket`. */
  readonly journalSocket?: string;
}

const JOURNAL_SOCKET = "/run/systemd/journal/socket";
const CATEGORY = "relais";

/** What {@linkcode configureLog} set up, for {@linkcode flushLog}. */
let current: { readonly pipeline: Pipeline; readonly sink: LogSink } | null = null;

/**
 * Says where the log goes, from now on and for every {@linkcode getLog}, also those made before. May be
 * called again. Before the first call, records are dropped.
 */
export function configureLog(options: LogOptions = {}): void {
  const previous = current?.sink;
  const sink = chooseSink(options);
  const pipeline = new Pipeline(sink, options);
  configureSync({
    reset: true,
    sinks: { relais: (record) => pipeline.take(record) },
    loggers: [
      { category: CATEGORY, sinks: ["relais"], lowestLevel: options.level ?? "info" },
      { category: ["logtape", "meta"], sinks: ["relais"], lowestLevel: "error" },
    ],
  });
  current = { pipeline, sink };
  if (previous instanceof JournalSink) previous.close();
}

/**
 * The log of one part of relais, e.g. `vip`, `replication.astdb`. Cheap; works before
 * {@linkcode configureLog}.
 */
export function getLog(area: string): Log {
  const logger = getLogger([CATEGORY, area]);
  // Braces would be read as places to fill in (logtape's templates).
  const plain = (message: string): string => message.replaceAll(/[{}]/g, "$&$&");
  return {
    debug: (message, fields = {}) => logger.debug(plain(message), fields),
    info: (message, fields = {}) => logger.info(plain(message), fields),
    warn: (message, fields = {}) => logger.warn(plain(message), fields),
    error: (message, fields = {}) => logger.error(plain(message), fields),
  };
}

/**
 * Writes the summaries of suppressed repeats and waits until all lines are out: call before the program
 * ends.
 */
export async function flushLog(deadlineMs = 1000): Promise<void> {
  if (current === null) return;
  current.pipeline.drain();
  await current.sink.flush(deadlineMs);
}

/** Forgets the configuration; records are dropped again. For tests. */
export async function resetLog(): Promise<void> {
  await flushLog();
  resetSync();
  if (current?.sink instanceof JournalSink) current.sink.close();
  current = null;
}

/** From logtape's record to the sink: context added, repeats limited. */
class Pipeline {
  readonly #sink: LogSink;
  readonly #clock: Clock;
  readonly #context: () => LogFields;
  readonly #limiter = new RepeatLimiter<LogEntry>();

  constructor(sink: LogSink, options: LogOptions) {
    this.#sink = sink;
    this.#clock = options.clock ?? systemClock;
    this.#context = options.context ?? ((): LogFields => ({}));
  }

  take(record: LogRecord): void {
    const entry: LogEntry = {
      level: record.level === "trace" ? "debug" : record.level,
      area: record.category.slice(1).join("."),
      message: record.message.map(String).join(""),
      fields: { ...this.#context(), ...record.properties },
      wallMs: this.#clock.wallMs(),
    };
    // Who asks for debug wants every line.
    if (entry.level === "debug") return this.#sink.write(entry);
    const { event, rule, state } = entry.fields;
    const key = JSON.stringify([entry.level, entry.area, entry.message, event, rule, state], keep);
    const { pass, summaries } = this.#limiter.admit(key, entry, this.#clock.nowMs());
    for (const summary of summaries) this.#sink.write(summed(summary));
    if (pass) this.#sink.write(entry);
  }

  drain(): void {
    for (const summary of this.#limiter.drain()) this.#sink.write(summed(summary));
  }
}

/** Keys are made of plain values only: anything deeper must not throw or grow. */
function keep(_key: string, value: unknown): unknown {
  return Array.isArray(value) || typeof value !== "object" && typeof value !== "bigint"
    ? value
    : String(value);
}

function summed(summary: { readonly last: LogEntry; readonly count: number }): LogEntry {
  const { last, count } = summary;
  return { ...last, message: `${last.message} (${count} more like this were not shown)` };
}

function chooseSink(options: LogOptions): LogSink {
  const out = options.out ?? Deno.stderr;
  const format = options.format ?? "auto";
  switch (format === "auto" ? detectFormat() : format) {
    case "journal":
      return new JournalSink(options.journalSocket ?? JOURNAL_SOCKET, out);
    case "prefixed":
      return new LineSink(out, formatPrefixed);
    case "pretty": {
      const colour = Deno.stderr.isTerminal() && !Deno.env.get("NO_COLOR");
      return new LineSink(out, (entry) => formatPretty(entry, colour));
    }
    case "json":
      return new LineSink(out, formatJson);
    default:
      return new LineSink(out, formatLogfmt);
  }
}

function detectFormat(): LogFormat {
  if (stderrIsJournal(Deno.env.get("JOURNAL_STREAM"))) return "journal";
  return Deno.stderr.isTerminal() ? "pretty" : "logfmt";
}

/**
 * `JOURNAL_STREAM` (systemd.exec(5)) names the device and inode of the stream that the journal reads: it
 * counts only if standard error still is that stream, and was not redirected by whoever started us.
 */
function stderrIsJournal(journalStream: string | undefined): boolean {
  if (journalStream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(2);
    return journalStream === `${dev}:${ino}`;
  } catch {
    // Standard error is closed.
    return false;
  }
}
