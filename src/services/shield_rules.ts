/**
 * What `nft` is told about the shield. Pure.
 *
 * @module
 */

import type { ShieldPort } from "../config/types.ts";

/** Our own table: nothing of an administrator's firewall is read or touched. */
export const SHIELD_TABLE = "inet relais";

/**
 * Removes our table, whether or not it is there: a table that is declared exists (nft(8)), and what exists
 * may be deleted.
 */
export const LOWER_RULES = `table ${SHIELD_TABLE}\ndelete table ${SHIELD_TABLE}\n`;

/**
 * Drops what arrives for these ports on any interface but loopback; to be loaded where no table of ours
 * is, or after {@linkcode LOWER_RULES} in the same transaction (which costs a grace period of the kernel,
 * 10 ms and more, so it is left out where it can be). The ports are
 * elements of a set that the kernel takes away after `lifetimeMs`: with every process of relais dead, the
 * rule is left with an empty set and drops nothing.
 *
 * `input` and not earlier: packets that this host forwards are not ours to drop. A packet dropped here is
 * not confirmed, so that it leaves no entry in connection tracking (nf_conntrack confirms at the end of
 * `input`). The verdict `drop` is final whatever the tables of others say.
 */
export function raiseRules(ports: readonly ShieldPort[], lifetimeMs: number): string {
  const timeout = `timeout ${Math.max(1, Math.ceil(lifetimeMs / 1000))}s`;
  const elements = ports.map(({ protocol, port }) => `${protocol} . ${port} ${timeout}`);
  return `table ${SHIELD_TABLE} {
  set shielded {
    type inet_proto . inet_service
    flags timeout
    elements = { ${elements.join(", ")} }
  }
  chain input {
    type filter hook input priority -10; policy accept;
    iifname != "lo" meta l4proto . th dport @shielded counter drop
  }
}
`;
}
