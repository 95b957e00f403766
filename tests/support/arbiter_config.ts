/**
 * A configuration of `[arbiter]` for tests beside an etcd.
 *
 * @module
 */

import type { ArbiterConfig } from "../../src/config/types.ts";

/** `policy = "release"`, a lease of 5 s, neither TLS nor users. */
export function arbiterConfig(
  endpoints: readonly string[],
  change: Partial<ArbiterConfig> = {},
): ArbiterConfig {
  return {
    endpoints,
    ttlMs: 5000,
    policy: "release",
    rightKey: "/relais/test/serve",
    ca: null,
    cert: null,
    key: null,
    username: null,
    passwordFile: null,
    ...change,
  };
}
