/**
 * How a log record looks: as fields of the journal, as one line for a program, as one line for a person.
 * Pure.
 *
 * @module
 */

/** A record, whole: what every sink gets. */
export interface LogEntry {
  readonly level: "debug" | "info" | "warning" | "error" | "fatal";
  /** The part of relais that speaks, e.g. `vip`, `replication.astdb`. */
  readonly area: string;
  readonly message: string;
  /** Context first (node, role, state, epoch), then what the caller gave. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Wall clock, milliseconds since 1970. */
  readonly wallMs: number;
}

/** Priorities of syslog(3), as the journal and `<N>` prefixes use them. */
const PRIORITY = { debug: 7, info: 6, warning: 4, error: 3, fatal: 2 } as const;
const MAX_VALUE = 4096;
const MAX_FIELDS = 48;

/**
 * One datagram of the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): `NAME=value`
 * lines, values with line ends in the binary form. A field `rule` becomes `RELAIS_RULE`.
 */
export function encodeJournalEntry(entry: LogEntry): Uint8Array<ArrayBuffer> {
  const fields: [string, string][] = [
    ["MESSAGE", clip(entry.message)],
    ["PRIORITY", String(PRIORITY[entry.level])],
    ["SYSLOG_IDENTIFIER", "relais"],
    ["RELAIS_AREA", entry.area],
  ];
  for (const [key, value] of shownFields(entry)) fields.push([journalName(key), value]);
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  for (const [name, value] of fields) {
    if (!value.includes("\n")) {
      parts.push(encoder.encode(`${name}=${value}\n`));
      continue;
    }
    const bytes = encoder.encode(value);
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(bytes.length), true);
    parts.push(encoder.encode(`${name}\n`), length, bytes, encoder.encode("\n"));
  }
  return concat(parts);
}

/** `<6>message key=value …` for a standard error that the journal reads (sd-daemon(3)). */
export function formatPrefixed(entry: LogEntry): string {
  const prefix = `<${PRIORITY[entry.level]}>`;
  return `${prefix}${oneLine(entry.area)}: ${oneLine(entry.message)}${pairs(entry)}\n`;
}

/** `time=… level=info area=vip msg="…" key=value …` */
export function formatLogfmt(entry: LogEntry): string {
  const time = new Date(entry.wallMs).toISOString();
  return `time=${time} level=${entry.level} area=${quote(entry.area)} msg=${
    quote(clip(entry.message))
  }${pairs(entry)}\n`;
}

/** One JSON object a line; values keep their type where JSON has it. */
export function formatJson(entry: LogEntry): string {
  const { wallMs, level, area, message } = entry;
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(entry.fields).slice(0, MAX_FIELDS)) {
    const plain = value === null || typeof value === "boolean" || Number.isFinite(value);
    if (value !== undefined) fields[key] = plain ? value : text(value);
  }
  const time = new Date(wallMs).toISOString();
  return `${JSON.stringify({ ...fields, time, level, area, msg: clip(message) })}\n`;
}

const COLOUR = { debug: "2", info: "32", warning: "33", error: "31", fatal: "1;31" } as const;
const LABEL = {
  debug: "debug",
  info: "info ",
  warning: "WARN ",
  error: "ERROR",
  fatal: "FATAL",
} as const;

/** `20:08:01.123 WARN  vip  message  key=value` in local time, with colour if wanted. */
export function formatPretty(entry: LogEntry, colour: boolean): string {
  const paint = (code: string, shown: string): string =>
    colour && shown !== "" ? `\x1b[${code}m${shown}\x1b[0m` : shown;
  const at = new Date(entry.wallMs);
  const two = (value: number): string => String(value).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${
    String(at.getMilliseconds()).padStart(3, "0")
  }`;
  return `${paint("2", time)} ${paint(COLOUR[entry.level], LABEL[entry.level])} ${
    paint("36", oneLine(entry.area).padEnd(12))
  } ${oneLine(entry.message)}${paint("2", pairs(entry))}\n`;
}

/** `stateSince` → `RELAIS_STATE_SINCE`: the journal takes A-Z, 0-9 and _ only, 64 at most. */
function journalName(key: string): string {
  const snake = key.replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase();
  return `RELAIS_${snake.replaceAll(/[^A-Z0-9_]/g, "_")}`.slice(0, 64);
}

function shownFields(entry: LogEntry): [string, string][] {
  return Object.entries(entry.fields)
    .filter(([, value]) => value !== undefined)
    .slice(0, MAX_FIELDS)
    .map(([key, value]) => [key, clip(text(value))]);
}

function pairs(entry: LogEntry): string {
  return shownFields(entry)
    .map(([key, value]) => ` ${key.replaceAll(/[^\w.-]/g, "_")}=${quote(value)}`)
    .join("");
}

/** A value in words. Errors: their message; objects: JSON, if they can be. */
function text(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return value.message || value.name;
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    // A cycle or a bigint inside: a log line is no reason to fail.
    return Object.prototype.toString.call(value);
  }
}

/** Control characters, also those of terminals (C1): what others send us must not steer a screen. */
// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f-\x9f]/g;

function oneLine(shown: string): string {
  return clip(shown).replaceAll(
    CONTROL,
    (c) => c === "\n" ? "\\n" : `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

function quote(value: string): string {
  if (value !== "" && /^[\w.:/@%+,-]*$/.test(value)) return value;
  return `"${oneLine(value.replaceAll("\\", "\\\\").replaceAll('"', '\\"'))}"`;
}

function clip(shown: string): string {
  return shown.length <= MAX_VALUE ? shown : `${shown.slice(0, MAX_VALUE)}…`;
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
