/**
 * Joins the keeper of the VIPs to the node that it keeps them for.
 *
 * @module
 */

import type { Links } from "./links.ts";
import type { NodeOptions } from "./node_options.ts";
import type { NodePorts } from "./ports.ts";
import { VipKeeper } from "./vip_keeper.ts";

/** The parts of a node that the keeper tells or asks. */
export interface VipKeeperParts {
  readonly links: Links;
  readonly openLink: NodePorts["vipLink"];
  readonly onTrouble: (text: string) => void;
  /** Somebody took something away, and it was put back. */
  readonly onRepair: (text: string) => void;
  /** How long the VIPs may be kept, where an arbiter gives the right to serve. */
  readonly extendUntil: (now: number) => number;
  /** The VIPs were renewed that much too late: the kernel may have dropped them. */
  readonly onLapsed: (lateMs: number) => void;
  readonly onNews: () => void;
}

/** Makes the keeper. */
export function createVipKeeper(options: NodeOptions, parts: VipKeeperParts): VipKeeper {
  const { config, clock, poller, vips, former } = options;
  return new VipKeeper({
    ...parts,
    formerGarbage: former?.keeper.garbage ?? 0,
    config,
    clock,
    poller,
    manager: vips,
    onRepair: (text) => {
      parts.onRepair(text);
      parts.onTrouble(text);
    },
  });
}
