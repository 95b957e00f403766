/**
 * Which of the two hosts this one is: the configuration is the same on both, a node knows itself by its
 * own addresses.
 *
 * @module
 */

import type { CoreConfig, Role } from "../core/types.ts";
import { canonicalIp } from "../os/ip_bytes.ts";
import { consentMs } from "./arbiter_timing.ts";
import type { Config, LocalConfig } from "./types.ts";

/** This host is neither or both of the configured hosts. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
}

/**
 * The role whose addresses this host has; one network is enough (the others may be down).
 *
 * @param ownAddresses addresses of this host's interfaces; prefix length and zone are ignored
 * @throws {IdentityError} when none, or addresses of both hosts, are here
 */
export function identifyRole(config: Config, ownAddresses: readonly string[]): Role {
  const own = new Set(
    ownAddresses.flatMap((text) => canonicalIp(text.replace(/[/%].*$/, "")) ?? []),
  );
  const ofRole = (role: Role): readonly string[] => config.networks.map((network) => network[role]);
  const master = ofRole("master").filter((address) => own.has(address));
  const slave = ofRole("slave").filter((address) => own.has(address));
  if (master.length > 0 && slave.length > 0) {
    throw new IdentityError(
      `Cannot tell which host this is as it has addresses of both: ${master.join(", ")} of the ` +
        `master and ${slave.join(", ")} of the slave. Correct the networks in the configuration`,
    );
  }
  if (master.length > 0) return "master";
  if (slave.length > 0) return "slave";
  const has = [...own].join(", ") || "none";
  throw new IdentityError(
    `Cannot tell which host this is as it has none of the configured addresses: ` +
      `${ofRole("master").join(", ")} (master), ${ofRole("slave").join(", ")} (slave). ` +
      `Addresses of this host: ${has}`,
  );
}

/** The configuration as seen from the host with this role. */
export function localConfig(config: Config, role: Role): LocalConfig {
  return Object.freeze({ ...config, role });
}

/** The part that the decisions depend on. */
export function coreConfig(local: LocalConfig): CoreConfig {
  const { heartbeat, failback, fencing, arbiter } = local;
  return {
    ...(arbiter === null ? {} : {
      arbiter: {
        policy: arbiter.policy,
        ttlMs: arbiter.ttlMs,
        consentMs: consentMs(heartbeat.deadAfterMs),
      },
    }),
    role: local.role,
    intervalMs: heartbeat.intervalMs,
    isolatedAfterMs: heartbeat.isolatedAfterMs,
    deadAfterMs: heartbeat.deadAfterMs,
    unfitAfterMs: heartbeat.unfitAfterMs,
    bootGraceMs: heartbeat.bootGraceMs,
    fencing: fencing?.mode ?? null,
    failback: {
      mode: failback.mode,
      stableMs: failback.stableMs,
      idleDeadlineMs: failback.whenIdle?.deadlineMs ?? null,
    },
  };
}
