/**
 * What the parts of `relais pair` share.
 *
 * @module
 */

import { resolve } from "node:path";
import { TRANSPORT_DEFAULTS } from "../config/defaults.ts";
import type { Config } from "../config/types.ts";
import type { LocalHost } from "../pairing/local_host.ts";
import { addressesOf, type planRemoval } from "../pairing/plan.ts";
import type { HostFacts } from "../pairing/protocol.ts";
import type { Asker } from "./ask.ts";

/** Options of the verb. */
export interface PairOptions {
  /** `[USER@]HOST`; null: root at the other host's first address. */
  readonly peer: string | null;
  readonly config: string;
  readonly key: string;
  /** A private key for the first contact. */
  readonly identity: string | null;
  /** What the other host's key must be. */
  readonly fingerprint: string | null;
  /** Where relais is on both hosts; null: where it is here. */
  readonly program: string | null;
  readonly force: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly remove: boolean;
  readonly local: boolean;
}

/** A mistake in the arguments, or a fact that is missing. */
export class UsageError extends Error {}

/** What the parts of the verb share. */
export interface Session {
  readonly options: PairOptions;
  readonly asker: Asker;
  readonly signal: AbortSignal;
  readonly here: LocalHost;
  readonly facts: HostFacts;
  /** Null: there is none here; good enough to remove. */
  readonly config: Config | null;
  readonly configText: string | null;
}

/** The addresses that are pinned about each host; none are known without configuration and role. */
export function whatToUnpin({ config, facts }: Session): Parameters<typeof planRemoval>[1] {
  const port = config?.replication.transport.port ?? TRANSPORT_DEFAULTS.port;
  if (config === null || facts.role === null) return { addresses: { here: [], there: [] }, port };
  const other = facts.role === "master" ? "slave" : "master";
  const addresses = {
    here: addressesOf(config, facts.role),
    there: addressesOf(config, other),
  };
  return { addresses, port };
}

/** Which files, and which program, both hosts are asked about. */
export function whatToLookAt({ config, key, program }: PairOptions): {
  readonly paths: { readonly config: string; readonly key: string };
  readonly program: string | null;
} {
  return { paths: { config: resolve(config), key: resolve(key) }, program };
}
