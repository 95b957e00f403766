import assert from "node:assert/strict";
import { VOIP_TOML } from "../../tests/support/minimal_toml.ts";
import { parseConfig } from "../config/load.ts";
import { lineFor, type PlannedChange, planPairing, planRemoval } from "./plan.ts";
import { withPins } from "./known_hosts.ts";
import type { HostFacts } from "./protocol.ts";

const configText = VOIP_TOML;
const config = parseConfig(configText);
const options = { config, configText, force: false };

function key(letter: string): string {
  return `ssh-ed25519 ${letter.repeat(68)}`;
}

function host(role: "master" | "slave", changes: Partial<HostFacts> = {}): HostFacts {
  return {
    hostName: role,
    version: "test",
    role,
    roleProblem: null,
    places: {
      config: "/etc/relais/relais.toml",
      key: "/etc/relais/cluster.key",
      identity: "/etc/relais/ssh/id_ed25519",
      knownHosts: "/etc/relais/ssh/known_hosts",
      authorizedKeys: "/root/.ssh/authorized_keys",
      hostKey: "/etc/ssh/ssh_host_ed25519_key.pub",
    },
    config: configText,
    configFingerprint: config.fingerprint,
    keyDigest: null,
    keyProblem: null,
    identity: null,
    hostKey: key(role === "master" ? "M" : "S"),
    knownHosts: "",
    authorizedKeys: "",
    command: ["/usr/sbin/relais", "receive"],
    ...changes,
  };
}

/** Both as pairing leaves them. */
function trusting(): { here: HostFacts; there: HostFacts } {
  const done = (role: "master" | "slave"): HostFacts => {
    const [other, number] = role === "master" ? ["S", 12] as const : ["M", 11] as const;
    const pins = { addresses: [`10.20.0.${number}`], port: 22, hostKey: key(other) };
    const identity = key(role === "master" ? "m" : "s");
    return host(role, { identity, keyDigest: "same", knownHosts: withPins("", pins) });
  };
  const bare = { here: done("master"), there: done("slave") };
  const line = (on: "here" | "there", letter: string): string =>
    `${lineFor({ on, facts: bare, config, identity: key(letter) })}\n`;
  return {
    here: { ...bare.here, authorizedKeys: line("here", "s") },
    there: { ...bare.there, authorizedKeys: line("there", "m") },
  };
}

function shortly(changes: readonly PlannedChange[]): string[] {
  return changes.map(({ on, change }) =>
    `${on} ${change.kind}${change.kind === "write" ? ` ${change.file}` : ""}`
  );
}

Deno.test("planPairing() of two fresh hosts makes keys, pins, lines, one cluster key, one configuration", () => {
  const there = host("slave", { config: null, configFingerprint: null });
  const { changes, refusals } = planPairing({ here: host("master"), there }, options);
  assert.deepEqual(refusals, []);
  assert.deepEqual(shortly(changes), [
    "here make-identity",
    "there make-identity",
    "here write knownHosts",
    "there write knownHosts",
    "here authorize",
    "there authorize",
    "here make-key",
    "there copy-key",
    "there write config",
  ]);
});

Deno.test("planPairing() of two hosts that trust each other has nothing to do", () => {
  assert.deepEqual(planPairing(trusting(), options), { changes: [], refusals: [] });
});

Deno.test("planPairing() changes only what no longer fits", () => {
  const { here, there } = trusting();
  const renewed = { ...here, identity: key("n") };
  assert.deepEqual(shortly(planPairing({ here: renewed, there }, options).changes), [
    "there authorize",
  ]);
  const reinstalled = { ...there, hostKey: key("T") };
  const plan = planPairing({ here, there: reinstalled }, options);
  assert.deepEqual(shortly(plan.changes), ["here write knownHosts"]);
  assert.match(plan.changes[0]!.text, /replaces another pinned key/);
  const keyless = { ...here, keyDigest: null };
  assert.deepEqual(shortly(planPairing({ here: keyless, there }, options).changes), [
    "here copy-key",
  ]);
});

Deno.test("planPairing() refuses, with all reasons at once", () => {
  const here = host("master", { keyDigest: "one", hostKey: null });
  const there = host("master", { keyDigest: "two", config: "x", configFingerprint: null });
  const { changes, refusals } = planPairing({ here, there }, options);
  assert.deepEqual(changes, []);
  assert.equal(refusals.length, 4);
  for (
    const why of [
      /ssh-keygen -A/,
      /both hosts are the master/,
      /another configuration/,
      /different/,
    ]
  ) {
    assert.ok(refusals.some((text) => why.test(text)), String(why));
  }
  const strange = host("slave", { role: null, roleProblem: "it has none of the addresses" });
  const [why] = planPairing({ here: host("master"), there: strange }, options).refusals;
  assert.equal(why, "the other host (no role, slave): it has none of the addresses");
});

Deno.test("planPairing() with force replaces configuration and key of the other, and keeps the old ones", () => {
  const { here, there } = trusting();
  const other = { ...there, keyDigest: "other", config: "x", configFingerprint: null };
  const { changes } = planPairing({ here, there: other }, { ...options, force: true });
  assert.deepEqual(
    changes.map(({ on, change }) => [on, change.kind, "backup" in change && change.backup]),
    [
      ["there", "copy-key", true],
      ["there", "write", true],
    ],
  );
});

Deno.test("planRemoval() takes back what pairing made, on both or on this host only", () => {
  const facts = trusting();
  const addresses = { here: ["10.20.0.11"], there: ["10.20.0.12"] };
  const { changes } = planRemoval(facts, { addresses, port: 22 });
  const each = ["write authorizedKeys", "write knownHosts", "remove-identity", "write key"];
  const expected = ["here", "there"].flatMap((on) => each.map((what) => `${on} ${what}`));
  assert.deepEqual(shortly(changes), expected);
  const texts = changes.flatMap(({ change }) => change.kind === "write" ? [change.text] : []);
  assert.deepEqual(texts, ["", null, null, "", null, null]);
  const alone = planRemoval({ here: facts.here, there: null }, { addresses, port: 22 });
  assert.deepEqual(shortly(alone.changes), expected.slice(0, 4));
  const gone = host("master");
  assert.deepEqual(planRemoval({ here: gone, there: null }, { addresses, port: 22 }).changes, []);
});
