/**
 * `[arbiter]`: an etcd whose lease is the right to serve.
 *
 * @module
 */

import { leastHoldTtlMs } from "./arbiter_timing.ts";
import { ARBITER_DEFAULTS } from "./defaults.ts";
import { formatDuration, readTable } from "./fields.ts";
import { asText, type IssueList } from "./issues.ts";
import { ARBITER_SHAPE } from "./schema.ts";
import type { ArbiterConfig, HeartbeatConfig } from "./types.ts";

/** Reads `[arbiter]`; null: there is none. What was wrong is in `issues`. */
export function readArbiter(
  section: unknown,
  { heartbeat, clusterName, issues }: {
    readonly heartbeat: HeartbeatConfig;
    readonly clusterName: string;
    readonly issues: IssueList;
  },
): ArbiterConfig | null {
  if (section === undefined) return null;
  const typed = readTable(ARBITER_SHAPE, section, "arbiter", issues);
  const endpoints = (typed.etcd ?? []).map((url) => url.replace(/\/+$/, ""));
  const ttlMs = typed.ttl ?? ARBITER_DEFAULTS.ttlMs;
  const policy = typed.policy ?? ARBITER_DEFAULTS.policy;
  const prefix = typed.prefix ?? ARBITER_DEFAULTS.prefix;
  const tls = { ca: typed.ca ?? null, cert: typed.cert ?? null, key: typed.key ?? null };
  const isTls = endpoints.some((url) => url.startsWith("https:"));
  for (const name of ["ca", "cert", "key"] as const) {
    if (tls[name] !== null && !isTls && endpoints.length > 0) {
      issues.add(`arbiter.${name}`, "must not be given unless an endpoint is https", tls[name]);
    }
  }
  if ((tls.cert === null) !== (tls.key === null)) {
    const missing = tls.cert === null ? "cert" : "key";
    issues.add(`arbiter.${missing}`, "must be given together: cert and key", undefined);
  }
  const username = typed.username ?? null;
  const passwordFile = typed.password_file ?? null;
  if ((username === null) !== (passwordFile === null)) {
    const missing = username === null ? "username" : "password_file";
    issues.add(
      `arbiter.${missing}`,
      "must be given together: username and password_file",
      undefined,
    );
  }
  checkTtl(ttlMs, { policy, endpoints: endpoints.length, heartbeat, issues });
  return {
    endpoints,
    ttlMs,
    policy,
    rightKey: `${prefix}${clusterName}/serve`,
    ...tls,
    username,
    passwordFile,
  };
}

function checkTtl(
  ttlMs: number,
  { policy, endpoints, heartbeat, issues }: {
    readonly policy: ArbiterConfig["policy"];
    readonly endpoints: number;
    readonly heartbeat: HeartbeatConfig;
    readonly issues: IssueList;
  },
): void {
  const shown = asText(formatDuration(ttlMs));
  if (ttlMs % 1000 !== 0) {
    issues.add("arbiter.ttl", "must be whole seconds, as etcd's leases are", shown);
    return;
  }
  const least = leastHoldTtlMs(Math.max(1, endpoints), ttlMs, heartbeat.httpIntervalMs);
  if (policy === "hold" && ttlMs < least) {
    const seconds = Math.ceil(least / 1000);
    issues.add(
      "arbiter.ttl",
      `must be at least ${seconds}s with this heartbeat and ${endpoints} endpoint(s), so that the ` +
        'peer\'s consent (policy "hold") arrives before the lease ends',
      shown,
    );
  }
}
