/**
 * A systemd for tests: the real one is for the laboratory.
 *
 * @module
 */

import { SystemdDriver, type SystemdOptions } from "./systemd.ts";

/**
 * A program that stands in for systemctl (a real systemd is for the laboratory): it logs its arguments,
 * keeps one file per unit with the unit's properties, and skips a start whose condition does not hold, by
 * the drop-ins below `etc` as they were at the last daemon-reload. A unit marked `deaf` hears only the
 * second request to end.
 */
export const FAKE_SYSTEMCTL = `#!/bin/sh
dir=$(dirname "$0")
verb=$1
echo "$*" >> "$dir/log"
while [ $# -gt 0 ] && [ "$1" != "--" ]; do shift; done
[ $# -eq 0 ] || shift
case $verb in
  show)
    for unit; do
      if [ -e "$dir/$unit" ]; then cat "$dir/$unit"; else printf 'Id=%s\\nLoadState=not-found\\nActiveState=inactive\\nSubState=dead\\n' "$unit"; fi
      echo
    done ;;
  start)
    [ -e "$dir/$1.hang" ] && exec sleep 60
    if [ -e "$dir/$1.fail" ]; then
      sed -i 's/^ActiveState=.*/ActiveState=failed/; s/^Result=.*/Result=exit-code/' "$dir/$1"
      echo "Job for $1 failed because the control process exited with error code." >&2
      exit 1
    fi
    flag=$(sed -n 's/^ConditionPathExists=//p' "$dir/loaded/$1.d/"*.conf 2>/dev/null)
    if [ -n "$flag" ] && [ ! -e "$flag" ]; then
      exec sed -i 's/^ConditionResult=.*/ConditionResult=no/' "$dir/$1"
    fi
    [ -e "$dir/$1.gated" ] && exec sed -i 's/^ConditionResult=.*/ConditionResult=no/' "$dir/$1"
    sed -i 's/^ActiveState=.*/ActiveState=active/' "$dir/$1" ;;
  stop)
    [ -e "$dir/$1.fail" ] && { echo "Failed to stop $1" >&2; exit 1; }
    if [ -e "$dir/$1.deaf" ]; then
      sed -i 's/^ActiveState=.*/ActiveState=deactivating/; s/^SubState=.*/SubState=stop-sigterm/' "$dir/$1"
      for i in $(seq 400); do [ -e "$dir/$1.asked" ] && break; sleep 0.05; done
      [ -e "$dir/$1.asked" ] || { echo "Job for $1 timed out" >&2; exit 1; }
    fi
    sed -i 's/^ActiveState=.*/ActiveState=inactive/' "$dir/$1" ;;
  kill)
    touch "$dir/$1.asked" ;;
  daemon-reload)
    [ -e "$dir/reload.fail" ] && { echo "Failed to reload daemon" >&2; exit 1; }
    rm -rf "$dir/loaded"
    cp -r "$dir/etc" "$dir/loaded" ;;
  reset-failed)
    for unit; do sed -i 's/^ActiveState=.*/ActiveState=inactive/' "$dir/$unit"; done ;;
esac
`;

/** A folder with the program `systemctl`, units, and `etc` in the place of /etc/systemd/system. */
export class FakeSystemd {
  private constructor(readonly dir: string) {}

  /** Makes it, with these units and their properties. */
  static async make(
    units: Readonly<Record<string, Readonly<Record<string, string>>>>,
  ): Promise<FakeSystemd> {
    const dir = await Deno.makeTempDir({ prefix: "relais-systemctl-" });
    await Deno.mkdir(`${dir}/etc`);
    await Deno.writeTextFile(`${dir}/systemctl`, FAKE_SYSTEMCTL, { mode: 0o755 });
    for (const [unit, properties] of Object.entries(units)) {
      await Deno.writeTextFile(`${dir}/${unit}`, unitProperties(unit, properties));
    }
    return new FakeSystemd(dir);
  }

  /** The folder in the place of /etc/systemd/system. */
  get unitDir(): string {
    return `${this.dir}/etc`;
  }

  /** The program. */
  get systemctl(): string {
    return `${this.dir}/systemctl`;
  }

  /** A driver of these units. */
  driver(units: readonly string[], options: Partial<SystemdOptions> = {}): SystemdDriver {
    return new SystemdDriver({
      units,
      unitsFromPreset: false,
      startDeadlineMs: 60_000,
      stopDeadlineMs: 60_000,
      systemctl: this.systemctl,
      ...options,
    });
  }

  /** Gives a unit these properties, as something else than the driver would. */
  set(unit: string, properties: Readonly<Record<string, string>>): Promise<void> {
    return Deno.writeTextFile(`${this.dir}/${unit}`, unitProperties(unit, properties));
  }

  /** Makes a file that the program looks for: `UNIT.fail`, `.hang`, `.gated`, `.deaf`, `reload.fail`. */
  mark(name: string): Promise<void> {
    return Deno.writeTextFile(`${this.dir}/${name}`, "");
  }

  /** The calls that change something, in order. */
  async calls(): Promise<string[]> {
    const log = await Deno.readTextFile(`${this.dir}/log`).catch(() => "");
    return log.trim().split("\n").filter((line) => line !== "" && !line.startsWith("show "));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.dir, { recursive: true });
  }
}

/** What the program shows of a unit that is stopped, changed by `properties`. */
export function unitProperties(
  unit: string,
  properties: Readonly<Record<string, string>> = {},
): string {
  const all = {
    Id: unit,
    LoadState: "loaded",
    ActiveState: "inactive",
    SubState: "dead",
    Result: "success",
    ConditionResult: "yes",
    Type: "notify",
    RemainAfterExit: "no",
    NRestarts: "0",
    KillSignal: "15",
    ...properties,
  };
  return Object.entries(all).map(([key, value]) => `${key}=${value}\n`).join("");
}
