/**
 * The arbiter's right to serve in a node: when it is asked for, what may be done with it, when it goes.
 *
 * @module
 */

import { RightKeeper } from "../arbiter/right_keeper.ts";
import { KERNEL_KEEPS_MS } from "../config/arbiter_timing.ts";
import { isSame } from "../config/changes.ts";
import { coreConfig } from "../config/load.ts";
import type { LocalConfig } from "../config/types.ts";
import { learntConsent } from "../core/right.ts";
import type { StepResult } from "../core/step.ts";
import type { Observation } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { hasServed } from "./adoption.ts";
import type { Links } from "./links.ts";
import type { Loop } from "./loop.ts";
import type { Previous } from "./memory.ts";
import type { NodePorts } from "./ports.ts";
import { type Identity, isServing } from "./status.ts";
import type { VipKeeper } from "./vip_keeper.ts";

/** A start waits this long for the arbiter's first word; the kernel keeps the VIPs longer than that. */
const FIRST_RIGHT_MS = 1000;
/** The end waits this long for the arbiter to take the right back. */
const RELEASE_MS = 1000;

/** What {@linkcode NodeRight} looks at of its node, when it is asked. */
interface OwnNode {
  readonly links: Links;
  readonly keeper: Pick<VipKeeper, "isGone">;
  readonly loop: Pick<Loop, "state" | "kick">;
}

/** What {@linkcode NodeRight} needs. */
export interface NodeRightOptions {
  readonly config: LocalConfig;
  readonly clock: Clock;
  readonly identity: Pick<Identity, "instanceId">;
  readonly ports: Pick<NodePorts, "arbiter">;
  readonly node: OwnNode;
  readonly observe: () => Observation;
}

/** See the module. Without an arbiter it allows everything. */
export class NodeRight {
  readonly #options: NodeRightOptions;
  /** Null: no arbiter. It outlives a reload that leaves `[arbiter]` as it is. */
  readonly keeper: RightKeeper | null;

  /** `former`: of the node with the configuration before this one; null at the start. */
  constructor(options: NodeRightOptions, former: NodeRight | null) {
    this.#options = options;
    const { config: { arbiter, role, networks, heartbeat }, clock } = options;
    const stays = former !== null && isSame(arbiter, former.#options.config.arbiter);
    this.keeper = arbiter === null ? null : stays ? former.keeper : new RightKeeper({
      config: arbiter,
      cluster: options.ports.arbiter(arbiter, options.config),
      clock,
      role,
      host: networks[0]?.[role] ?? "",
      instanceId: options.identity.instanceId,
      deadAfterMs: heartbeat.deadAfterMs,
    });
  }

  /** The keeper works for this node from now on. */
  attach(): void {
    const { loop } = this.#options.node;
    this.keeper?.attach({ epoch: () => loop.state.epoch, onNews: () => loop.kick() });
  }

  /**
   * Whether what a previous daemon of this boot holds may be renewed by this one: the arbiter lets it, or the
   * peer does (both are asked at once, for a second), or an operator answers for it.
   */
  async mayAdopt(previous: Previous | null): Promise<boolean> {
    const { config, clock, node: { links }, observe } = this.#options;
    this.attach();
    if (this.keeper === null) return true;
    const wants = hasServed(previous);
    if (wants) links.askNow();
    const late = clock.sleep(FIRST_RIGHT_MS);
    await Promise.race([late, this.keeper.begin({ wants })]);
    if (previous?.state === "maintenance") return true;
    if (this.keeper.evidence(clock.nowMs()).right === "mine") return true;
    if (!wants || config.arbiter?.policy !== "hold") return false;
    await Promise.race([late, links.firstReport]);
    const consent = learntConsent({ consentUntil: null }, observe(), coreConfig(config));
    return consent !== null && clock.nowMs() < consent;
  }

  /**
   * VIPs are mounted and renewed only as long as the kernel will have forgotten them when the right ends, or
   * the peer consents, or an operator answers for it (maintenance).
   */
  extendUntil(now: number): number {
    const { name, consentUntil } = this.#options.node.loop.state;
    if (this.keeper === null || name === "maintenance") return Infinity;
    const { validUntil } = this.keeper.evidence(now);
    return Math.max((validUntil ?? -Infinity) - KERNEL_KEEPS_MS, consentUntil ?? -Infinity);
  }

  /** The peer consents that this node serves without the arbiter. */
  mayHold(): boolean {
    const { consentUntil } = this.#options.node.loop.state;
    return consentUntil !== null && this.#options.clock.nowMs() < consentUntil;
  }

  /** After each turn: asks what is due. `mayAdopt`: it is not decided yet whether this node goes on. */
  pace(result: StepResult, now: number, mayAdopt: boolean): void {
    const { state, situation } = result;
    // The peer may lose or give back its right at any moment, and this node waits for it.
    const hurry = situation.verdict !== "alive" || state.peerLeftAt !== null ||
      state.name === "isolated" || (situation.peer !== null && !situation.peer.serving);
    this.keeper?.pace(now, {
      serves: isServing(result) || (state.name === "starting" && mayAdopt),
      vipsGone: this.#options.node.keeper.isGone,
      hurry,
    });
  }

  /** The node of another configuration goes on, or this one never began: what it alone has ends. */
  leaveTo(other: NodeRight | null): void {
    if (this.keeper !== other?.keeper) this.keeper?.close();
  }

  /**
   * The end. In order: the peer has the right at once. For a restart: the next daemon of this boot goes on
   * with it. Never rejects.
   */
  async end({ forRestart }: { readonly forRestart: boolean }): Promise<void> {
    const { keeper } = this;
    if (keeper === null) return;
    if (!forRestart && this.#options.node.keeper.isGone) {
      const released = keeper.release().catch(() => {}); // It ends with its lease.
      await Promise.race([released, this.#options.clock.sleep(RELEASE_MS)]);
    }
    keeper.close();
  }
}
