/**
 * Problems of a configuration file, collected instead of thrown one by one, so that an operator corrects
 * the file once.
 *
 * @module
 */

import { LIMITS } from "./defaults.ts";

/** One problem: where, what is required, what stands there instead. */
export interface ConfigIssue {
  /** Dotted path in the file, e.g. `networks[0].vip` (tables are counted from 0); empty: the file. */
  readonly key: string;
  /** What is required, in words. */
  readonly rule: string;
  /** What was found, as it would be typed. */
  readonly got: string;
}

/** Longer keys are shown by their beginning. */
const KEY_SHOWN = 200;

/** `key: rule (got value)`. */
export function formatIssue({ key, rule, got }: ConfigIssue): string {
  const shown = key.length > KEY_SHOWN ? `${key.slice(0, KEY_SHOWN)}…` : key;
  return `${shown === "" ? "file" : shown}: ${rule} (got ${got})`;
}

/** The configuration is refused; `issues` holds every problem, at least one. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly issues: readonly ConfigIssue[];
  constructor(issues: readonly ConfigIssue[], options?: ErrorOptions) {
    super(
      `Cannot use the configuration as it breaks ${issues.length} rule(s):\n${
        issues.map(formatIssue).join("\n")
      }`,
      options,
    );
    this.issues = issues;
  }
}

/** Collects issues; one per key, the first one said (later rules often follow from it). */
export class IssueList {
  readonly #issues = new Map<string, ConfigIssue>();
  #left = 0;

  /** Adds a problem; `got` is any value out of the file, or text prepared by {@linkcode asText}. */
  add(key: string, rule: string, got: unknown): void {
    if (this.#issues.has(key)) return;
    // Not absent, only unreadable: what is wrong with it was said.
    if (got === undefined && this.#hasWithin(key)) return;
    if (this.#issues.size >= LIMITS.issues) {
      this.#left++;
      return;
    }
    this.#issues.set(key, { key, rule, got: showValue(got) });
  }

  #hasWithin(key: string): boolean {
    return [...this.#issues.keys()].some((one) => {
      return one.startsWith(`${key}.`) || one.startsWith(`${key}[`);
    });
  }

  /** Whether nothing was found. */
  get empty(): boolean {
    return this.#issues.size === 0;
  }

  /** All problems in the order in which they were found. */
  list(): readonly ConfigIssue[] {
    const issues = [...this.#issues.values()];
    if (this.#left === 0) return issues;
    return [...issues, { key: "", rule: "must be corrected first", got: `${this.#left} more` }];
  }
}

/** Text that {@linkcode IssueList.add} shows as it stands, without quotes. */
class AsText {
  constructor(readonly text: string) {}
}

/** Marks `text` to be shown without quotes. */
export function asText(text: string): AsText {
  return new AsText(text);
}

const SHOWN_CHARS = 120;

function showValue(value: unknown): string {
  const text = value instanceof AsText ? value.text : value === undefined ? "nothing" : json(value);
  return text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}…`;
}

function json(value: unknown): string {
  // Infinity, NaN and dates are TOML values that JSON has no text for.
  if (typeof value === "number") return String(value);
  if (value instanceof Date) return value.toISOString();
  return JSON.stringify(value) ?? String(value);
}

/** `parent.key`, with quotes where TOML needs them. */
export function joinKey(parent: string, key: string): string {
  const bare = /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key);
  return parent === "" ? bare : `${parent}.${bare}`;
}
