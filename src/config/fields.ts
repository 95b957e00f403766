/**
 * The values that a key of the file may have, as zod schemas with the rule in words, and the reader that
 * applies them key by key: a wrong key never hides what is wrong with the next one.
 *
 * @module
 */

import { z } from "zod";
import { canonicalIp } from "../os/ip_bytes.ts";
import { kindOf, parseIp } from "./address.ts";
import { type IssueList, joinKey } from "./issues.ts";

/** The keys of one table of the file. */
export type Shape = Readonly<Record<string, z.ZodType>>;

/** What could be read of a table: keys that were absent (and optional) or wrong are undefined. */
export type Read<S extends Shape> = { readonly [K in keyof S]?: z.output<S[K]> | undefined };

/**
 * Reads one table. Unknown keys, missing required keys and wrong values become issues under `path`;
 * all the others are returned.
 */
export function readTable<S extends Shape>(
  shape: S,
  value: unknown,
  path: string,
  issues: IssueList,
): Read<S> {
  if (!isTable(value)) {
    issues.add(path, "must be a table", value);
    return {};
  }
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(shape, key)) continue;
    const known = Object.keys(shape).join(", ");
    issues.add(joinKey(path, key), `is not a key of this table, which has ${known}`, value[key]);
  }
  const read: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(shape)) {
    const given = Object.hasOwn(value, key) ? value[key] : undefined;
    const parsed = schema.safeParse(given);
    if (parsed.success) {
      if (parsed.data !== undefined) read[key] = parsed.data;
      continue;
    }
    for (const issue of parsed.error.issues) {
      const at = keyOf(joinKey(path, key), issue.path);
      issues.add(at, issue.message, valueAt(given, issue.path));
    }
  }
  return read as Read<S>;
}

/** Whether `value` is a TOML table. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Date);
}

function keyOf(path: string, rest: readonly PropertyKey[]): string {
  return rest.reduce<string>((text, step) => {
    return typeof step === "number" ? `${text}[${step}]` : joinKey(text, String(step));
  }, path);
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, step) => {
    return typeof at === "object" && at !== null ? Reflect.get(at, step) : undefined;
  }, value);
}

/** A whole number within bounds. */
export function integer(bounds: { readonly min: number; readonly max: number }): z.ZodNumber {
  const rule = `must be a whole number from ${bounds.min} to ${bounds.max}`;
  return z.number({ error: rule }).int(rule).min(bounds.min, rule).max(bounds.max, rule);
}

/** `true` or `false`. */
export function flag(): z.ZodBoolean {
  return z.boolean({ error: "must be true or false" });
}

/** One of a few words. */
export function word<const T extends readonly [string, ...string[]]>(
  words: T,
): z.ZodType<T[number]> {
  const rule = `must be one of ${words.map((w) => `"${w}"`).join(", ")}`;
  return z.string({ error: rule }).refine((text) => words.includes(text), rule) as z.ZodType<
    T[number]
  >;
}

/** Text that passes `accepts`. */
export function text(rule: string, accepts: RegExp | ((text: string) => boolean)): z.ZodString {
  const test = accepts instanceof RegExp ? (t: string) => accepts.test(t) : accepts;
  return z.string({ error: rule }).refine(test, rule);
}

/** A list with a bound; a list that repeats an item is refused at the repeated item. */
export function listOf<T extends z.ZodType>(
  item: T,
  options: { readonly what: string; readonly max: number; readonly min?: number },
): z.ZodArray<T> {
  const min = options.min ?? 0;
  const rule = `must be a list of ${min} to ${options.max} ${options.what}`;
  return z.array(item, { error: rule }).min(min, rule).max(options.max, rule).superRefine(
    (items, context) => {
      for (const [index, one] of items.entries()) {
        if (typeof one === "string" && items.indexOf(one) < index) {
          context.addIssue({ code: "custom", path: [index], message: "must not be listed twice" });
        }
      }
    },
  );
}

/** An IPv4 or IPv6 address that a host can have, returned in canonical text. */
export function ipAddress(): z.ZodType<string> {
  const rule = "must be an IPv4 or IPv6 address";
  return z.string({ error: rule }).superRefine((given, context) => {
    const message = whyNotHost(given);
    if (message !== null) context.addIssue({ code: "custom", message });
  }).transform((given) => canonicalIp(given) ?? given);
}

/** Why `given` cannot be the address of a host; null: it can. */
function whyNotHost(given: string): string | null {
  const address = parseIp(given);
  if (address === null) return "must be an IPv4 or IPv6 address (no zone, prefix or leading zeros)";
  switch (kindOf(address)) {
    case "unicast":
      return null;
    case "link-local":
      return "must not be link-local: such an address means nothing without the interface, whose " +
        "name may differ between the hosts; use a global or unique local one";
    case "mapped":
      return "must be typed as IPv4, not as an IPv4-mapped IPv6 address";
    case "loopback":
      return "must not be a loopback address: the peer cannot reach it";
    default:
      return "must be a unicast address, not the unspecified, a multicast or a reserved one";
  }
}

/** An argument list: the program first. `absolute`: it must be a full path. */
export function argumentList(options: {
  readonly absolute: boolean;
  readonly max: number;
}): z.ZodType<string[]> {
  const rule = `must be a list of 1 to ${options.max} texts: the program, then its arguments`;
  const program = options.absolute
    ? "must be the absolute path of a program"
    : "must be the absolute path of a program, or its name to look up in PATH";
  return z.array(text("must be a text without NUL, at most 4096 long", isArgument), { error: rule })
    .min(1, rule).max(options.max, rule).superRefine((list, context) => {
      const first = list[0];
      const named = first !== undefined && /^[A-Za-z0-9_.+-]+$/.test(first) && !options.absolute;
      if (first === undefined || named || isPlainPath(first)) return;
      context.addIssue({ code: "custom", path: [0], message: program });
    });
}

function isArgument(argument: string): boolean {
  return argument.length <= 4096 && !argument.includes("\0");
}

/** An absolute path without `.`, `..`, empty or unprintable parts, and not `/` itself. */
export function isPlainPath(path: string): boolean {
  if (path.length > 1024 || !path.startsWith("/") || /\p{Cc}/u.test(path)) return false;
  return path.slice(1).split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

/** {@linkcode isPlainPath} as a field. */
export function absolutePath(): z.ZodString {
  return text(
    'must be an absolute path other than "/", without "..", ".", double or trailing slashes',
    isPlainPath,
  );
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds of `500ms`, `30s`, `2m`, `1h` or `7d`; null when it is not such a text. */
export function parseDuration(text: string): number | null {
  const match = /^([1-9][0-9]{0,8})(ms|s|m|h|d)$/.exec(text);
  const unit = UNIT_MS[match?.[2] ?? ""];
  return match === null || unit === undefined ? null : Number(match[1]) * unit;
}

/** `2m`, `1h`, `30s`, `500ms` within bounds, returned in milliseconds. */
export function duration(bounds: {
  readonly min: number;
  readonly max: number;
}): z.ZodType<number> {
  const rule =
    `must be a duration such as "30s", "2m" or "1h", from ${formatDuration(bounds.min)} ` +
    `to ${formatDuration(bounds.max)}`;
  return z.string({ error: rule }).refine((given) => {
    const ms = parseDuration(given);
    return ms !== null && ms >= bounds.min && ms <= bounds.max;
  }, rule).transform((given) => parseDuration(given) ?? 0);
}

const SIZE_BYTES: Readonly<Record<string, number>> = {
  kB: 1e3,
  KiB: 2 ** 10,
  MB: 1e6,
  MiB: 2 ** 20,
  GB: 1e9,
  GiB: 2 ** 30,
};

/** Bytes of `500kB`, `20MB` (10^6), `20MiB` (2^20) or `1GB`; null when it is not such a text. */
export function parseSize(text: string): number | null {
  const match = /^([1-9][0-9]{0,5})(kB|KiB|MB|MiB|GB|GiB)$/.exec(text);
  const unit = SIZE_BYTES[match?.[2] ?? ""];
  return match === null || unit === undefined ? null : Number(match[1]) * unit;
}

/** The shortest text that {@linkcode parseDuration} reads as `ms`. */
export function formatDuration(ms: number): string {
  for (const unit of ["d", "h", "m", "s"]) {
    const size = UNIT_MS[unit] ?? 1;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}
