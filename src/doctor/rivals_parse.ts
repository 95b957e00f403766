/**
 * Other software for high availability, in what tools and files say. Pure.
 *
 * @module
 */

import type { Process } from "./addresses_parse.ts";

/** Programs that move addresses or services between hosts, by process name. */
const RIVAL_PROGRAMS: readonly string[] = [
  "keepalived",
  "ucarp",
  "vrrpd",
  "uvrrpd",
  "freevrrpd",
  "corosync",
  "pacemakerd",
  "heartbeat",
  "vip-manager",
  "kube-vip",
];

/** Their units. */
export const RIVAL_UNITS: readonly string[] = [
  "keepalived.service",
  "ucarp.service",
  "vrrpd.service",
  "uvrrpd.service",
  "corosync.service",
  "pacemaker.service",
  "heartbeat.service",
  "vip-manager.service",
];

/** Names of rivals that run, without doubles; a name in `ps` has at most 15 characters. */
export function rivalsAmong(processes: readonly Process[]): readonly string[] {
  const names = processes.map(({ name }) => name);
  return RIVAL_PROGRAMS.filter((program) => names.includes(program.slice(0, 15)));
}

/** `node_type` of XiVO's ha.conf; null: it is not the JSON that is known. */
export function nodeTypeOf(text: string): string | null {
  try {
    const { node_type: type } = JSON.parse(text) as { node_type?: unknown };
    return typeof type === "string" ? type : null;
  } catch {
    return null;
  }
}

const HA_JOB =
  /\b(xivo|wazo)-(check-(master|slave|main|standby)-status|(master-slave|main-standby)-db-replication|manage-slave-services|sync)\b/;

/** Lines of a crontab by which XiVO's or Wazo's own HA acts. */
export function haJobsOf(crontab: string): readonly string[] {
  return crontab.split("\n").map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#") && HA_JOB.test(line));
}
