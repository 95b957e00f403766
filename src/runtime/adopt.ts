/**
 * At the start of a daemon: looks at what a previous one of this boot left, keeps it or lets it go.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import { messageOf } from "../os/errors.ts";
import { hasServed, isAdoptable } from "./adoption.ts";
import type { GateKeeper } from "./gate_keeper.ts";
import type { Previous } from "./memory.ts";
import type { NodeRight } from "./node_right.ts";
import type { ServicesWatch } from "./services_watch.ts";
import type { VipKeeper } from "./vip_keeper.ts";

/** What {@linkcode findAdoptable} looks at and acts upon. */
export interface AdoptParts {
  readonly config: LocalConfig;
  readonly right: Pick<NodeRight, "mayAdopt">;
  readonly keeper: Pick<VipKeeper, "adopt" | "drop" | "held">;
  readonly services: Pick<ServicesWatch, "read">;
  readonly gate: Pick<GateKeeper, "set">;
  /** A sentence for the alerts. */
  readonly onTrouble: (text: string) => void;
}

/**
 * Whether this daemon may go on with what the previous one held; if not, its VIPs are let go. The gate is
 * set accordingly. Never rejects.
 */
export async function findAdoptable(
  previous: Previous | null,
  { config, right, keeper, services, gate, onTrouble }: AdoptParts,
): Promise<boolean> {
  const inMaintenance = previous?.state === "maintenance";
  // Closed before the services are looked at, unless they may be there to stay; in maintenance nothing moves.
  if (!hasServed(previous) && !inMaintenance) gate.set("closed");
  let adoptable = false;
  // Adopting renews the VIPs: not before it is known that this node may hold them.
  const mayAdopt = await right.mayAdopt(previous);
  try {
    const [allMounted, running] = await Promise.all([
      mayAdopt ? keeper.adopt() : keeper.drop().then(() => false),
      services.read(),
    ]);
    const hasVips = config.networks.some((network) => network.vips.length > 0);
    const { deadAfterMs } = config.heartbeat;
    adoptable = mayAdopt && isAdoptable(previous, { hasVips, allMounted, running, deadAfterMs });
  } catch (error) {
    onTrouble(messageOf(error));
  }
  if (adoptable) {
    gate.set("open");
    return true;
  }
  if (!inMaintenance) gate.set("closed");
  // What is not adopted is not held: the other node may serve by now, in maintenance too.
  if (keeper.held.size > 0) {
    keeper.drop().catch((error: unknown) => onTrouble(messageOf(error)));
  }
  return false;
}
