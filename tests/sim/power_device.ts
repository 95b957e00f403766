/**
 * What the fence agents of the simulated hosts reach, whatever the networks do: it cuts the power of a host,
 * slowly, not at all, without an answer, or without saying so.
 *
 * @module
 */

import type { FencingDeviceConfig } from "../../src/config/types.ts";
import type { AgentAction, AgentResult } from "../../src/fencing/agent.ts";
import { ToolTimeoutError } from "../../src/os/process.ts";
import type { Kind } from "./bounds.ts";
import type { Daemon } from "./daemon.ts";
import { cutPower, switchOn } from "./faults.ts";
import { Random } from "./random.ts";
import type { World } from "./world.ts";

/** `unsure`: it does what it is told, and says that it failed. */
type Mode = "works" | "slow" | "fails" | "hangs" | "unsure";

/** See the module. */
export class PowerDevice {
  mode: Mode = "works";
  /** Of its own: other worlds draw the same dice with and without it. */
  readonly random: Random;

  constructor(readonly world: World, seed: number) {
    this.random = new Random(seed * 3 + 7);
  }

  /**
   * An episode begins: draws how the device behaves in it. Whether a takeover that needs it can be expected
   * within the bounds.
   */
  begin(kind: Kind): boolean {
    const { fencing } = this.world.options;
    if (fencing === null) return true;
    this.mode = this.random.pick(["works", "works", "slow", "fails", "hangs", "unsure"] as const);
    this.world.log(`the power device ${this.mode} (${kind})`);
    return fencing === "best-effort" || this.mode === "works" || this.mode === "slow";
  }

  /** Runs an agent on a host. */
  async run(
    daemon: Daemon,
    { parameters }: FencingDeviceConfig,
    action: AgentAction,
    { deadlineMs, signal }: { readonly deadlineMs: number; readonly signal?: AbortSignal },
  ): Promise<AgentResult> {
    const { world, random, mode } = this;
    const { clock } = daemon;
    const host = world.hosts.find(({ role }) => role === parameters["plug"])!;
    const pause = mode === "slow" ? random.between(2000, 8000) : random.between(200, 2000);
    if (mode === "hangs" || pause >= deadlineMs) {
      await clock.sleep(deadlineMs, signal);
      throw new ToolTimeoutError(["fence_sim"], deadlineMs);
    }
    await clock.sleep(action === "status" ? 100 : pause, signal);
    const end = (code: number): AgentResult => ({ code, stdout: "", said: "" });
    if (mode === "fails") return end(1);
    if (action === "status") return end(host.powered ? 0 : 2);
    if (action === "off" || action === "reboot") {
      world.log(`fenced: ${host.role}`);
      world.checkers.onFence(daemon.host, host);
      cutPower(world, host.index);
    }
    if (action === "on" || action === "reboot") switchOn(world, host.index);
    return end(mode === "unsure" && action !== "monitor" ? 1 : 0);
  }
}
