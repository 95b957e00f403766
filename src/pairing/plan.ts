/**
 * What has to change on two hosts so that they trust each other, or no longer do: from the facts of both.
 * Pure; nothing to do is an empty list.
 *
 * @module
 */

import type { Config } from "../config/types.ts";
import type { Role } from "../core/types.ts";
import { peerLine, peerLines, withoutPeerLines, withPeerLine } from "./authorized_keys.ts";
import { pinnedKeys, withoutPins, withPins } from "./known_hosts.ts";
import type { HostFacts, PairFile } from "./protocol.ts";

/** Which of the two hosts: the one where the verb was typed, or the other. */
export type Side = "here" | "there";

/** One change on one host. */
export type Change =
  | { readonly kind: "make-identity" }
  | { readonly kind: "remove-identity" }
  /** The text of one file; `backup`: what is there stays beside it. */
  | {
    readonly kind: "write";
    readonly file: PairFile;
    readonly text: string | null;
    readonly backup: boolean;
  }
  /** The line of the other's key, which may only be made by then. */
  | { readonly kind: "authorize" }
  /** A new cluster key. */
  | { readonly kind: "make-key" }
  /** The other host's cluster key. */
  | { readonly kind: "copy-key"; readonly backup: boolean };

/** A change, where, and in words. */
export interface PlannedChange {
  readonly on: Side;
  readonly change: Change;
  /** `make /etc/relais/ssh/id_ed25519: …`. */
  readonly text: string;
}

/** What to do, or why not. */
export interface Plan {
  readonly changes: readonly PlannedChange[];
  /** Not empty: nothing may be done. */
  readonly refusals: readonly string[];
}

/** Facts of both hosts. */
export interface BothFacts {
  readonly here: HostFacts;
  readonly there: HostFacts;
}

const SIDES = ["here", "there"] as const;

/** The other one. */
export function otherSide(side: Side): Side {
  return side === "here" ? "there" : "here";
}

/** The addresses of the host with this role, in the order of the configuration. */
export function addressesOf(config: Config, role: Role): readonly string[] {
  return config.networks.map((network) => network[role]);
}

/** From where the key of the host with this role is taken: its own addresses, and the VIPs. */
function sourcesOf(config: Config, role: Role): readonly string[] {
  return [...addressesOf(config, role), ...config.networks.flatMap(({ vips }) => vips)];
}

/** `this host` or `the other host`, with role and name. */
export function nameOf(side: Side, { role, hostName }: HostFacts): string {
  return `${side === "here" ? "this host" : "the other host"} (${role ?? "no role"}, ${hostName})`;
}

/** What makes the two trust each other. */
export function planPairing(facts: BothFacts, { config, configText, force }: {
  readonly config: Config;
  readonly configText: string;
  /** Replace a different configuration and a different cluster key of the other host. */
  readonly force: boolean;
}): Plan {
  const refusals = whyNot(facts, { config, force });
  if (refusals.length > 0) return { changes: [], refusals };
  const changes: PlannedChange[] = [];
  for (const on of SIDES) {
    const own = facts[on];
    if (own.identity !== null) continue;
    const text = `make     ${own.places.identity}: the key of this host for copies`;
    changes.push({ on, change: { kind: "make-identity" }, text });
  }
  for (const on of SIDES) changes.push(...pinChanges(on, facts, config));
  for (const on of SIDES) changes.push(...authorizeChanges(on, facts, config));
  changes.push(...keyChanges(facts));
  const { there } = facts;
  if (there.configFingerprint !== config.fingerprint) {
    const text = there.config === null
      ? `copy     ${there.places.config}: the configuration of this host`
      : `replace  ${there.places.config}: the configuration of this host; the old one stays beside it`;
    const backup = there.config !== null;
    const change = { kind: "write", file: "config", text: configText, backup } as const;
    changes.push({ on: "there", change, text });
  }
  return { changes, refusals };
}

/** What takes the trust back; without `there` on this host only. */
export function planRemoval(
  facts: { readonly here: HostFacts; readonly there: HostFacts | null },
  { addresses, port }: {
    /** Of each host; empty: no configuration says them, so the pins are all in the file. */
    readonly addresses: Readonly<Record<Side, readonly string[]>>;
    readonly port: number;
  },
): Plan {
  const changes: PlannedChange[] = [];
  for (const on of SIDES) {
    const own = facts[on];
    if (own === null) continue;
    const { places, authorizedKeys, knownHosts } = own;
    const theirs = facts[otherSide(on)]?.identity ?? null;
    const add = (text: string, change: Change): void => void changes.push({ on, change, text });
    const write = (file: PairFile, text: string | null): Change => {
      return { kind: "write", file, text, backup: false };
    };
    if (peerLines(authorizedKeys, theirs).length > 0) {
      const text = withoutPeerLines(authorizedKeys, theirs);
      add(
        `edit     ${places.authorizedKeys}: without the line of relais-peer`,
        write("authorizedKeys", text),
      );
    }
    const pins = addresses[otherSide(on)];
    const rest = pins.length === 0 ? "" : withoutPins(knownHosts, { addresses: pins, port });
    if (rest !== knownHosts) {
      const text = rest.trim() === "" ? null : rest;
      const what = text === null ? "remove  " : "edit    ";
      add(
        `${what} ${places.knownHosts}: the pinned keys of the other host`,
        write("knownHosts", text),
      );
    }
    if (own.identity !== null) {
      add(`remove   ${places.identity} and .pub: the key of this host`, {
        kind: "remove-identity",
      });
    }
    if (own.keyDigest !== null) add(`remove   ${places.key}: the cluster key`, write("key", null));
  }
  return { changes, refusals: [] };
}

function pinChanges(on: Side, facts: BothFacts, config: Config): PlannedChange[] {
  const own = facts[on];
  const other = facts[otherSide(on)];
  // whyNot() has seen that both are there.
  if (other.role === null || other.hostKey === null) return [];
  const { port } = config.replication.transport;
  const addresses = addressesOf(config, other.role);
  const text = withPins(own.knownHosts, { addresses, port, hostKey: other.hostKey });
  if (text === own.knownHosts) return [];
  const replaces = pinnedKeys(own.knownHosts, { addresses, port }).some((key) =>
    key !== other.hostKey
  );
  const what = replaces ? "replaces another pinned key" : "the pinned key of the other host";
  return [{
    on,
    change: { kind: "write", file: "knownHosts", text, backup: false },
    text: `write    ${own.places.knownHosts}: ${what}, for ${addresses.join(", ")}`,
  }];
}

function authorizeChanges(on: Side, facts: BothFacts, config: Config): PlannedChange[] {
  const own = facts[on];
  const { identity, role } = facts[otherSide(on)];
  if (role === null) return [];
  const found = peerLines(own.authorizedKeys, identity).length;
  if (identity !== null) {
    const line = lineFor({ on, facts, config, identity });
    if (withPeerLine(own.authorizedKeys, line) === own.authorizedKeys) return [];
  }
  const what = found === 0 ? "one line" : `one line in the place of ${found} older`;
  const text = `edit     ${own.places.authorizedKeys}: ${what}, by which the other host may run ` +
    `"${own.command.join(" ")}" and nothing else`;
  return [{ on, change: { kind: "authorize" }, text }];
}

/** The line on one side for the key of the other. */
export function lineFor({ on, facts, config, identity }: {
  readonly on: Side;
  readonly facts: BothFacts;
  readonly config: Config;
  readonly identity: string;
}): string {
  const { command } = facts[on];
  const role = facts[otherSide(on)].role ?? "master";
  return peerLine({ publicKey: identity, command, addresses: sourcesOf(config, role) });
}

function keyChanges({ here, there }: BothFacts): PlannedChange[] {
  if (here.keyDigest !== null && here.keyDigest === there.keyDigest) return [];
  const copy = (on: Side, own: HostFacts): PlannedChange => {
    const backup = own.keyDigest !== null;
    const what = backup ? "replace " : "copy    ";
    const text = `${what} ${own.places.key}: the cluster key of ${
      on === "there" ? "this host" : "the other host"
    }${backup ? "; the old one stays beside it" : ""}`;
    return { on, change: { kind: "copy-key", backup }, text };
  };
  if (here.keyDigest === null && there.keyDigest !== null) return [copy("here", here)];
  const make: PlannedChange = {
    on: "here",
    change: { kind: "make-key" },
    text: `make     ${here.places.key}: the cluster key`,
  };
  return here.keyDigest === null ? [make, copy("there", there)] : [copy("there", there)];
}

function whyNot(
  facts: BothFacts,
  { config, force }: { readonly config: Config; readonly force: boolean },
): string[] {
  const { here, there } = facts;
  const refusals: string[] = [];
  for (const side of SIDES) {
    const { role, roleProblem, hostKey, keyProblem, places } = facts[side];
    const name = nameOf(side, facts[side]);
    if (role === null) refusals.push(`${name}: ${roleProblem ?? "it has no role"}`);
    if (hostKey === null) {
      refusals.push(`${name}: there is no ${places.hostKey}; make it there with: ssh-keygen -A`);
    }
    if (keyProblem !== null) refusals.push(`${name}: ${keyProblem}`);
  }
  if (here.role !== null && here.role === there.role) {
    refusals.push(
      `both hosts are the ${here.role}: is the peer this host itself, or an address in use twice?`,
    );
  }
  const isOther = there.config !== null && there.configFingerprint !== config.fingerprint;
  if (isOther && !force) {
    refusals.push(
      `the other host has another configuration in ${there.places.config}: compare the two (relais ` +
        `check-config), or replace that one by this with --force (it stays beside it)`,
    );
  }
  const isOtherKey = here.keyDigest !== null && there.keyDigest !== null &&
    here.keyDigest !== there.keyDigest;
  if (isOtherKey && !force) {
    refusals.push(
      `the hosts have different cluster keys in ${here.places.key}: is the other paired with a third ` +
        `host? Replace that one by this with --force (it stays beside it)`,
    );
  }
  return refusals;
}
