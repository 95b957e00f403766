/**
 * The difference of two configurations, as sentences, and what of it a running daemon cannot take over.
 * Pure, and knows no section by name: a key that is added to the configuration is compared by itself.
 *
 * @module
 */

import type { Config } from "./types.ts";

/** One key that differs. */
export interface ConfigChange {
  /** As in the file, networks by their name: `networks.voip.vip`, `heartbeat.dead_after_ms`. */
  readonly key: string;
  /** For the operator: `heartbeat.dead_after_ms: 2000, was 3000`. */
  readonly text: string;
  /** Why this needs a restart of the daemon; null: it can be applied while the daemon runs. */
  readonly restart: string | null;
}

/** What does not follow from the file alone: it changes with another key, which is shown. */
const DERIVED: readonly RegExp[] = [
  /^fingerprint$/,
  /^heartbeat\.(http_interval|witness_interval)_ms$/,
  /^services\.units_from_preset$/,
  /^replication\.database\.(name|socket_dir|port|compression)$/,
  /^arbiter\.right_key$/,
];

/** Keys that something which lives as long as the process is built upon. First match counts. */
const NEEDS_RESTART: readonly { readonly key: RegExp; readonly why: string }[] = [
  {
    key: /^networks\.[^.]+\.(master|slave|family|prefix|interface)$/,
    why: "the addresses and the interface that the two hosts know each other by",
  },
  { key: /^heartbeat\.http_port$/, why: "the port that the peer asks on" },
  // Not where the whole table is gone: see `configChanges`.
  { key: /^arbiter\./, why: "the right to serve that this node may hold is in there" },
];

/** Names in the file where it is not the internal one in snake_case, or has another unit. */
const UNITS: readonly { readonly key: RegExp; readonly name: string; readonly seconds: boolean }[] =
  [
    { key: /^(replication\.\w+)\.every_ms$/, name: "$1.every", seconds: true },
    { key: /^(replication\.\w+)\.max_age_ms$/, name: "$1.max_age", seconds: true },
    { key: /^(services\.(?:start|stop)_deadline)_ms$/, name: "$1_s", seconds: true },
    { key: /^(failback\.(?:when_idle\.)?(?:stable|deadline))_ms$/, name: "$1_s", seconds: true },
    { key: /^(fencing\.deadline)_ms$/, name: "$1", seconds: true },
    { key: /^(networks\.[^.]+)\.vips$/, name: "$1.vip", seconds: false },
    { key: /^arbiter\.ttl_ms$/, name: "arbiter.ttl", seconds: true },
    { key: /^arbiter\.endpoints$/, name: "arbiter.etcd", seconds: false },
  ];

/** Keys whose values are shown to nobody. */
const SECRET: readonly RegExp[] = [
  /^fencing\.(master|slave)\.parameters\..*(pass|secret|token|key)/i,
];

const SHOWN_CHARS = 200;

type Leaves = ReadonlyMap<string, unknown>;

/** What differs, in the order of the new configuration, then what is gone; empty: they mean the same. */
export function configChanges(before: Config, after: Config): readonly ConfigChange[] {
  const old = leavesOf(before);
  const now = leavesOf(after);
  const networks = networkChanges(before, after);
  const isWhole = (key: string): boolean =>
    networks.some((change) => key.startsWith(`${change.key}.`));
  const keys = [...new Set([...now.keys(), ...old.keys()])];
  const others = keys.filter((key) => !isDerived(key) && !isWhole(key))
    .filter((key) => !isSame(old.get(key), now.get(key)))
    .map((key) => changeOf(key, old.get(key), now.get(key)))
    // The way out when etcd is gone for good: a table that is taken away is applied at once.
    .map((change) =>
      after.arbiter === null && change.key.startsWith("arbiter.")
        ? { ...change, restart: null }
        : change
    );
  return [...networks, ...others];
}

/** Whether two parts of a configuration mean the same. */
export function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A network that is new or gone is one change, not one for each of its keys. */
function networkChanges(before: Config, after: Config): ConfigChange[] {
  const names = (config: Config): string[] => config.networks.map(({ name }) => name);
  const kept = names(after).filter((name) => names(before).includes(name));
  const restart = kept.length > 0
    ? null
    : "no network of the running configuration is left to know the peer by";
  const added = after.networks.filter(({ name }) => !kept.includes(name)).map((network) => ({
    key: `networks.${network.name}`,
    text: `networks.${network.name}: added (${vipWords(network.vips)})`,
    restart,
  }));
  const removed = before.networks.filter(({ name }) => !kept.includes(name)).map((network) => ({
    key: `networks.${network.name}`,
    text: `networks.${network.name}: removed (${vipWords(network.vips)})`,
    restart,
  }));
  return [...added, ...removed];
}

function vipWords(vips: readonly string[]): string {
  return vips.length === 0 ? "no VIP" : `VIP ${vips.join(", ")}`;
}

function changeOf(key: string, before: unknown, after: unknown): ConfigChange {
  const unit = UNITS.find((entry) => entry.key.test(key));
  const name = unit === undefined ? key : key.replace(unit.key, unit.name);
  if (SECRET.some((pattern) => pattern.test(key))) {
    return { key: name, text: `${name}: changed (its value is not shown)`, restart: null };
  }
  const needs = NEEDS_RESTART.find((entry) => entry.key.test(key));
  const show = (value: unknown): string => shown(value, unit?.seconds ?? false);
  const text = isList(before) && isList(after)
    ? `${name}: ${listWords(before, after)}`
    : `${name}: ${show(after)}, was ${show(before)}`;
  return { key: name, text, restart: needs?.why ?? null };
}

/** What came and what went; a list that only has another order says so. */
function listWords(before: readonly unknown[], after: readonly unknown[]): string {
  const has = (list: readonly unknown[], value: unknown): boolean =>
    list.some((other) => isSame(other, value));
  const added = after.filter((value) => !has(before, value));
  const removed = before.filter((value) => !has(after, value));
  const words = [
    ...(added.length === 0 ? [] : [`added ${added.map((value) => shown(value)).join(", ")}`]),
    ...(removed.length === 0 ? [] : [`removed ${removed.map((value) => shown(value)).join(", ")}`]),
  ];
  return words.length === 0
    ? `in another order: ${after.map((value) => shown(value)).join(", ")}`
    : words.join("; ");
}

function shown(value: unknown, seconds = false): string {
  if (value === undefined || value === null) return "none";
  if (seconds && typeof value === "number") return `${value / 1000} s`;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}…`;
}

function isDerived(key: string): boolean {
  return DERIVED.some((pattern) => pattern.test(key));
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

/** Dotted keys to values; lists are values, networks go by their name. */
function leavesOf(config: Config): Leaves {
  const leaves = new Map<string, unknown>();
  const walk = (value: unknown, key: string): void => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      // What is not configured is absent, whether it would be one value or a table.
      if (value !== null) leaves.set(key, value);
      return;
    }
    for (const [name, part] of Object.entries(value)) {
      walk(part, key === "" ? snake(name) : `${key}.${snake(name)}`);
    }
  };
  const { networks, ...rest } = config;
  for (const { name, ...network } of networks) walk(network, `networks.${name}`);
  walk(rest, "");
  return leaves;
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
