import assert from "node:assert/strict";
import { localConfig, parseConfig } from "../config/load.ts";
import type { Poller } from "../os/poller.ts";
import { VipLapsedError, type VipManager } from "../vip/manager.ts";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { relaisToml } from "../../tests/support/relais_config.ts";
import type { Links } from "./links.ts";
import { VipKeeper } from "./vip_keeper.ts";

for (const preset of ["fast", "balanced", "calm"] as const) {
  Deno.test(`VipKeeper at ${preset}: VIPs that the kernel let go are as bad as a loop that stood still for isolated_after_ms`, async () => {
    const toml = relaisToml({ heartbeat: [`preset = "${preset}"`] });
    const config = localConfig(parseConfig(toml), "master");
    const lapses: number[] = [];
    const clock = new ManualClock();
    const keeper = new VipKeeper({
      config,
      clock,
      poller: {} as Poller,
      manager: {
        held: new Set(["10.20.0.10"]),
        mount: () => Promise.resolve(),
        refresh: () => Promise.resolve([]),
        interfaceOf: () => null,
        extend: () => false,
        renew: () => Promise.reject(new VipLapsedError(["10.20.0.10"], 3100)),
      } as unknown as VipManager,
      links: { views: [] } as unknown as Links,
      onTrouble: () => {},
      onRepair: () => {},
      onLapsed: (lateMs) => lapses.push(lateMs),
      onNews: () => {},
    });
    await keeper.mount(AbortSignal.timeout(60_000));
    await clock.advance(3100);
    keeper.pace(clock.nowMs());
    await clock.advance(0);
    // Less, and the core would stay active without an address: nothing else mounts it again.
    assert.deepEqual(lapses, [Math.max(3100, config.heartbeat.isolatedAfterMs)]);
  });
}
