import assert from "node:assert/strict";
import { VOIP_TOML } from "../../tests/support/minimal_toml.ts";
import { VIP_LIFETIME_S } from "../vip/mark.ts";
import { REPORT_FRESH_MIN_MS } from "../core/situation.ts";
import {
  arbiterMarginMs,
  arbiterTakeoverMs,
  arbiterTryMs,
  consentMs,
  KERNEL_KEEPS_MS,
  leastHoldTtlMs,
  promiseMs,
} from "./arbiter_timing.ts";
import { configChanges } from "./changes.ts";
import { ConfigError, coreConfig, formatIssue, localConfig, parseConfig } from "./load.ts";
import type { Config } from "./types.ts";

function withArbiter(...lines: readonly string[]): string {
  return `${VOIP_TOML}\n[arbiter]\n${lines.join("\n")}\n`;
}

const URL_LINE = 'etcd = ["http://10.20.0.254:2379"]';

/** Asserts that the file is refused with exactly these problems. */
function refused(text: string, expected: readonly RegExp[]): void {
  let error: unknown;
  try {
    parseConfig(text);
  } catch (caught) {
    error = caught;
  }
  assert.ok(error instanceof ConfigError, "it is refused");
  const found = error.issues.map(formatIssue);
  assert.equal(found.length, expected.length, found.join("\n"));
  for (const [n, pattern] of expected.entries()) assert.match(found[n] ?? "", pattern);
}

function keys(before: Config, after: Config): (string | null)[][] {
  return configChanges(before, after).map(({ key, restart }) => [key, restart]);
}

Deno.test("[arbiter] has defaults for all but its endpoints, and a key of its cluster", () => {
  const { arbiter } = parseConfig(withArbiter('etcd = ["http://10.20.0.254:2379/"]'));
  assert.deepEqual(arbiter, {
    endpoints: ["http://10.20.0.254:2379"],
    ttlMs: 6000,
    policy: "hold",
    rightKey: "/relais/siege/serve",
    ca: null,
    cert: null,
    key: null,
    username: null,
    passwordFile: null,
  });
  const other = parseConfig(withArbiter(URL_LINE, 'prefix = "/ville/pbx/"')).arbiter;
  assert.equal(other?.rightKey, "/ville/pbx/siege/serve");
});

Deno.test("without [arbiter] nothing changes: no arbiter, the fingerprint of before, the same core", () => {
  const config = parseConfig(VOIP_TOML);
  assert.equal(config.arbiter, null);
  assert.ok(!("arbiter" in coreConfig(localConfig(config, "slave"))));
  assert.notEqual(parseConfig(withArbiter(URL_LINE)).fingerprint, config.fingerprint);
});

Deno.test("[arbiter] refuses what is no endpoint, no lease, no policy, all at once", () => {
  refused(withArbiter(), [/^arbiter\.etcd: must be a list of 1 to 7 endpoints \(got nothing\)$/]);
  refused(
    withArbiter(
      'etcd = ["10.20.0.254:2379", "http://10.20.0.254:2379/v3", "http://u:p@10.20.0.254"]',
      'ttl = "2s"',
      'policy = "perhaps"',
      'prefix = "relais"',
      "lease = 5",
    ),
    [
      /^arbiter\.lease: is not a key of this table/,
      /^arbiter\.etcd\[0\]: must be the URL of an etcd endpoint/,
      /^arbiter\.etcd\[1\]: must be the URL of an etcd endpoint/,
      /^arbiter\.etcd\[2\]: must be the URL of an etcd endpoint/,
      /^arbiter\.ttl: must be a duration .* from 5s to 1m \(got "2s"\)$/,
      /^arbiter\.policy: must be one of "hold", "release" \(got "perhaps"\)$/,
      /^arbiter\.prefix: must begin and end with "\/"/,
    ],
  );
  refused(withArbiter(URL_LINE, 'ttl = "6500ms"'), [
    /^arbiter\.ttl: must be whole seconds, as etcd's leases are \(got 6500ms\)$/,
  ]);
});

Deno.test("[arbiter] refuses halves of pairs, and certificates that no endpoint uses", () => {
  refused(withArbiter(URL_LINE, 'cert = "/etc/relais/etcd.crt"', 'username = "relais"'), [
    /^arbiter\.cert: must not be given unless an endpoint is https/,
    /^arbiter\.key: must be given together: cert and key \(got nothing\)$/,
    /^arbiter\.password_file: must be given together: username and password_file/,
  ]);
  const { arbiter } = parseConfig(withArbiter(
    'etcd = ["https://etcd.ville.example:2379"]',
    'ca = "/etc/relais/etcd-ca.crt"',
    'username = "relais"',
    'password_file = "/etc/relais/etcd.password"',
  ));
  assert.equal(arbiter?.ca, "/etc/relais/etcd-ca.crt");
});

Deno.test("ttl: hold needs time for the peer's consent, release does not", () => {
  refused(withArbiter(URL_LINE, 'ttl = "5s"'), [
    /^arbiter\.ttl: must be at least 6s with this heartbeat and 1 endpoint\(s\).* \(got 5s\)$/,
  ]);
  assert.equal(
    parseConfig(withArbiter(URL_LINE, 'ttl = "5s"', 'policy = "release"')).arbiter?.ttlMs,
    5000,
  );
  for (const endpoints of [1, 2, 3, 5, 7]) {
    assert.ok(leastHoldTtlMs(endpoints, 6000, 1000) <= 6500, `${endpoints} endpoints`);
  }
});

Deno.test("the arithmetic: consent, promise, margin and takeover", () => {
  assert.equal(KERNEL_KEEPS_MS, VIP_LIFETIME_S * 1000);
  assert.equal(consentMs(500), REPORT_FRESH_MIN_MS);
  for (const deadAfterMs of [500, 3000, 10_000]) {
    // Who serves by consent has let go, its kernel too, before a promise ends.
    assert.ok(promiseMs(deadAfterMs) >= consentMs(deadAfterMs) + KERNEL_KEEPS_MS + 210 + 100);
  }
  assert.equal(arbiterMarginMs(6000), 310);
  assert.equal(arbiterTakeoverMs(6000), 6750);
  assert.deepEqual([1, 2, 3, 7].map((n) => arbiterTryMs(6000, n)), [1000, 500, 333, 250]);
});

Deno.test("a changed [arbiter] needs a restart, a removed one does not: the way out when etcd is gone", () => {
  const none = parseConfig(VOIP_TOML);
  const hold = parseConfig(withArbiter(URL_LINE));
  const release = parseConfig(withArbiter(URL_LINE, 'policy = "release"', 'ttl = "8s"'));
  const why = "the right to serve that this node may hold is in there";
  assert.deepEqual(keys(hold, release), [["arbiter.ttl", why], ["arbiter.policy", why]]);
  assert.ok(keys(none, hold).every(([, restart]) => restart === why));
  assert.ok(keys(hold, none).length > 0);
  assert.ok(keys(hold, none).every(([, restart]) => restart === null));
});
