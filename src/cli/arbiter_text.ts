/**
 * What `relais arbiter status` and `relais status` say of the arbiter; pure.
 *
 * @module
 */

import type { StatusDocument } from "../health/types.ts";

type Arbiter = NonNullable<StatusDocument["arbiter"]>;

/** What the verb shows. */
export interface ArbiterReport {
  /** Null: the daemon does not run, or has no arbiter. */
  readonly daemon: Arbiter | null;
  /** Why the daemon says nothing; null: it says something. */
  readonly daemonError: string | null;
  readonly endpoints: readonly {
    readonly url: string;
    readonly answers: boolean;
    readonly text: string;
  }[];
}

/** The report for a person. Pure. */
export function formatArbiterReport({ daemon, daemonError, endpoints }: ArbiterReport): string[] {
  return [
    ...(daemon === null
      ? [row("this node", daemonError ?? "its daemon has read no [arbiter]: relais reload")]
      : [
        row("right", formatRight(daemon)),
        row("holder", formatHolder(daemon)),
        row("key", daemon.key),
        row("policy", `${daemon.policy}, lease of ${daemon.ttlMs / 1000} s`),
        row("questions", `${daemon.answers} answered, ${daemon.failures} not`),
        ...(daemon.promisedForMs === null
          ? []
          : [row("promise", `no takeover for ${seconds(daemon.promisedForMs)}`)]),
        ...(daemon.lastError === null ? [] : [row("last error", daemon.lastError)]),
      ]),
    ...endpoints.map(({ url, answers, text }) =>
      row(url, answers ? text : `does not answer: ${text}`)
    ),
  ];
}

/** In a few words whose the right is; also a line of `relais status`. Pure. */
export function formatRight({ right, validForMs, byConsent, reaches }: Arbiter): string {
  const words = {
    mine: `this node's, for ${seconds(validForMs ?? 0)} at least`,
    peer: "the peer's",
    free: "free",
    unknown: "not known",
  }[right];
  const how = byConsent ? ", it serves as the peer consents" : "";
  return `${words}${how}${reaches ? "" : "; etcd does not answer"}`;
}

function formatHolder({ holder }: Arbiter): string {
  return holder === null
    ? "nobody, as of etcd's last answer"
    : `${holder.role} (${holder.host}), epoch ${holder.epoch}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function row(label: string, text: string): string {
  return `${label.padEnd(18)} ${text}`;
}
