/**
 * `relais cleanup`: removes every VIP and route of ours from this host. Run when systemd has given up
 * restarting the daemon, and by an operator. Needs no daemon and no peer.
 *
 * @module
 */

import { rmSync } from "node:fs";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/types.ts";
import { systemClock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { controlSocket } from "../runtime/paths.ts";
import { VipManager } from "../vip/manager.ts";
import { ControlClient } from "./control_client.ts";
import { EXIT } from "./exit_codes.ts";
import { printResult } from "./report.ts";

/** Undoes; refuses while a daemon runs, which would put everything back. */
export async function cleanup({ config: path, runDir, json }: {
  readonly config: string;
  readonly runDir: string;
  readonly json: boolean;
}): Promise<number> {
  if (await daemonAnswers(runDir)) {
    const text = "Cannot clean up as relais is running: stop it first (systemctl stop relais)";
    return printResult({ ok: false, text }, { json });
  }
  const config = await loadOrWarn(path);
  const manager = new VipManager({
    networks: config?.networks ?? [],
    role: "master",
    clock: systemClock,
  });
  const undone = await manager.cleanup();
  rmSync(`${runDir}/serving.json`, { force: true });
  if (json) console.log(JSON.stringify({ ok: true, undone }));
  else console.log(undone.length === 0 ? "Nothing of relais was left here" : undone.join("\n"));
  return EXIT.ok;
}

async function daemonAnswers(runDir: string): Promise<boolean> {
  try {
    await new ControlClient(controlSocket({ runDir })).status();
    return true;
  } catch {
    return false;
  }
}

/** Without a usable configuration, what carries our mark is removed all the same. */
async function loadOrWarn(path: string): Promise<Config | null> {
  try {
    return await loadConfig(path);
  } catch (error) {
    console.error(
      `relais: ${messageOf(error)}\n` +
        "relais: going on without it: what carries our mark is removed, IPv6 VIPs end by themselves",
    );
    return null;
  }
}
