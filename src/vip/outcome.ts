/**
 * How mounting, renewing and dropping VIPs can end.
 *
 * @module
 */

import type { FailedLine } from "./iproute.ts";
import type { Operation } from "./operation.ts";

/** What `VipManager.renew()` put back. */
export interface Repair {
  readonly kind: "address" | "route";
  readonly network: string;
  /** The address, or the route's source. */
  readonly vip: string | null;
  /** For people, e.g. `10.20.0.10/32 on eth0`. */
  readonly what: string;
}

/** Not all VIPs and routes are there after mounting. */
export class MountError extends Error {
  override readonly name = "MountError";
  /**
   * @param missing whole sentences, one for each thing that is not there
   * @param held the VIPs that are there
   */
  constructor(readonly missing: readonly string[], readonly held: readonly string[]) {
    super(missing.join("; "));
  }
}

/** Something of ours is still there after dropping. */
export class DropError extends Error {
  override readonly name = "DropError";
}

/** The kernel dropped VIPs because they were renewed too late; they were not mounted again. */
export class VipLapsedError extends Error {
  override readonly name = "VipLapsedError";
  constructor(readonly vips: readonly string[], readonly lateMs: number) {
    super(
      `Cannot renew ${vips.join(", ")} as the last renewal was ${
        Math.round(lateMs)
      } ms ago and the ` +
        `kernel has dropped them: look who serves now, then mount again`,
    );
  }
}

/** An operation that had no effect, as a sentence with what iproute2 said of it. */
export function notDone(operation: Operation, failed: readonly FailedLine[]): string {
  const said = failed.findLast((failure) => failure.line === operation.line)?.message;
  const verb = operation.kind.startsWith("add") ? "mount" : "remove";
  const noun = operation.route === null ? "the VIP" : "the route";
  return `Cannot ${verb} ${noun} ${operation.what}: ` +
    (said === undefined || said === "" ? "the kernel does not show the change" : said);
}

/** An operation that had its effect, as what a renewal tells; nothing for removals. */
export function toRepair(operation: Operation): Repair[] {
  if (!operation.kind.startsWith("add") || operation.network === null) return [];
  return [{
    kind: operation.kind === "add-address" ? "address" : "route",
    network: operation.network,
    vip: operation.vip,
    what: operation.what,
  }];
}
