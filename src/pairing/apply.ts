/**
 * Carries a plan out on two hosts: all of it, tried in both directions, or nothing.
 *
 * @module
 */

import type { Config } from "../config/types.ts";
import { generateKey, keyFileText } from "../heartbeat/key.ts";
import { messageOf } from "../os/errors.ts";
import { withPeerLine } from "./authorized_keys.ts";
import {
  addressesOf,
  type BothFacts,
  lineFor,
  nameOf,
  otherSide,
  type PlannedChange,
  type Side,
} from "./plan.ts";
import type { HelloResult, HostFacts, PairHost } from "./protocol.ts";

/** Both hosts; `there` is null when only this side is worked on. */
export interface BothHosts {
  readonly here: PairHost;
  readonly there: PairHost | null;
}

/** Something failed; the message says what, and what became of the changes. */
export class PairError extends Error {
  override readonly name = "PairError";
}

/**
 * Does `changes` in order, then `proof`, then keeps them. If anything fails, all is taken back on both.
 *
 * @returns where copies of replaced files were left, in words
 * @throws {PairError}
 */
export async function applyChanges(hosts: BothHosts, options: {
  readonly changes: readonly PlannedChange[];
  readonly perform: (planned: PlannedChange) => Promise<string | null>;
  /** Throws when the result does not work. */
  readonly proof: () => Promise<void>;
  readonly onChange: (planned: PlannedChange) => void;
}): Promise<readonly string[]> {
  const notes: string[] = [];
  let doing = "Cannot begin";
  try {
    for (const planned of options.changes) {
      doing = `Cannot ${planned.text.replace(/\s+/g, " ")}`;
      options.onChange(planned);
      const note = await options.perform(planned);
      if (note !== null) notes.push(note);
    }
    doing = "Cannot prove that it works";
    await options.proof();
    doing = "Cannot keep the changes";
    // The other host first: after that, nothing can fail.
    await hosts.there?.ask({ do: "keep" });
    await hosts.here.ask({ do: "keep" });
    return notes;
  } catch (cause) {
    const became = await takeBack(hosts);
    throw new PairError(`${doing} as: ${messageOf(cause)}\n${became}`, { cause });
  }
}

/** Undoes on both hosts; what became of it, in words. */
async function takeBack({ here, there }: BothHosts): Promise<string> {
  const { failed } = await here.ask({ do: "undo" });
  const rest = failed.map((text) => `on this host: ${text}`);
  let isKnown = true;
  try {
    const other = await there?.ask({ do: "undo" });
    rest.push(...(other?.failed ?? []).map((text) => `on the other host: ${text}`));
  } catch {
    isKnown = false; // The session has ended, or is of no use any more.
  }
  const stays = rest.length === 0
    ? `Nothing is changed${isKnown ? "" : " on this host"}: what had been done was taken back.`
    : `What could not be taken back:\n${rest.map((text) => `  ${text}`).join("\n")}`;
  return isKnown
    ? stays
    : `${stays}\nThe other host takes its part back by itself, as the session ` +
      `has ended; look with: relais pair --dry-run`;
}

/**
 * Performs changes; remembers the keys that are made on the way.
 *
 * @param config may be null to take trust back
 */
export function createPerformer(hosts: BothHosts, facts: BothFacts, config: Config | null): (
  planned: PlannedChange,
) => Promise<string | null> {
  const identities: Record<Side, string | null> = {
    here: facts.here.identity,
    there: facts.there.identity,
  };
  const hostOn = (side: Side): PairHost => {
    const host = hosts[side];
    if (host === null) throw new Error("Cannot change the other host as there is no way to it");
    return host;
  };
  return async ({ on, change }) => {
    const host = hostOn(on);
    switch (change.kind) {
      case "make-identity":
        identities[on] = (await host.ask({ do: "make-identity" })).identity;
        return null;
      case "remove-identity":
        await host.ask({ do: "remove-identity" });
        return null;
      case "authorize": {
        const identity = identities[otherSide(on)];
        if (identity === null || config === null) {
          throw new Error("Cannot authorize a key that was not made");
        }
        const line = lineFor({ on, facts, config, identity });
        const text = withPeerLine(facts[on].authorizedKeys, line);
        await host.ask({ do: "write", file: "authorizedKeys", text, backup: false });
        return null;
      }
      case "make-key":
        await host.ask({
          do: "write",
          file: "key",
          text: keyFileText(generateKey()),
          backup: false,
        });
        return null;
      case "copy-key": {
        const { text } = await hostOn(otherSide(on)).ask({ do: "read-key" });
        const request = { do: "write", file: "key", text, backup: change.backup } as const;
        return noteOf(on, facts[on], (await host.ask(request)).backup);
      }
      case "write": {
        const { file, text, backup } = change;
        return noteOf(on, facts[on], (await host.ask({ do: "write", file, text, backup })).backup);
      }
    }
  };
}

function noteOf(on: Side, facts: HostFacts, backup: string | null): string | null {
  return backup === null ? null : `what was there before is in ${backup} on ${nameOf(on, facts)}`;
}

/**
 * Tries the way in both directions, at every address.
 *
 * @returns what was found, in words, one line a direction and address
 * @throws {Error} when a direction works at no address
 */
export async function proveWays(
  hosts: { readonly here: PairHost; readonly there: PairHost },
  facts: BothFacts,
  config: Config,
): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const side of ["here", "there"] as const) {
    const { role } = facts[otherSide(side)];
    if (role === null) throw new Error("Cannot try the way to a host without a role");
    const addresses = [...addressesOf(config, role)];
    const { results } = await hosts[side].ask({ do: "hello", addresses });
    const from = nameOf(side, facts[side]);
    const judged = results.map((result) => ({ ...result, problem: whyBad(result, role, config) }));
    if (!judged.some(({ problem }) => problem === null)) {
      const why = judged.map(({ address, problem }) => `${address}: ${problem}`);
      throw new Error(
        `no way from ${from} to the other:\n${why.map((text) => `  ${text}`).join("\n")}\n` +
          `sshd there must let root in with a key and a forced command: PermitRootLogin ` +
          `forced-commands-only or prohibit-password`,
      );
    }
    for (const { address, problem } of judged) {
      lines.push(`${from} to ${address}: ${problem ?? "works"}`);
    }
  }
  return lines;
}

function whyBad(result: HelloResult, role: string, config: Config): string | null {
  if (result.problem !== null) return result.problem;
  if (result.role !== role) return `the ${result.role} answers there, not the ${role}`;
  return result.fingerprint === config.fingerprint ? null : "it has another configuration";
}
