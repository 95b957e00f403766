/**
 * What survives the process: the epoch and the role (state directory, survives a reboot), and what this
 * daemon was doing (run directory, gone with the boot), from which the next daemon of the same boot adopts.
 *
 * @module
 */

import { z } from "zod";
import type { NodeState } from "../core/state.ts";
import { STATE_NAMES } from "../core/types.ts";
import type { Clock } from "../os/clock.ts";
import { writeSmallFile } from "../os/durable_file.ts";
import { messageOf } from "../os/errors.ts";
import { readKernelFile } from "../os/kernel_file.ts";

const Persisted = z.object({
  version: z.literal(1),
  epoch: z.number().int().min(0),
  role: z.enum(["master", "slave"]),
  failbackHeld: z.boolean(),
  /** Witnesses that have answered at least once, ever. */
  witnesses: z.array(z.string().max(64)).max(200).default([]),
});
type Persisted = z.infer<typeof Persisted>;

const Serving = z.object({
  version: z.literal(1),
  state: z.enum(STATE_NAMES),
  serving: z.boolean(),
  epoch: z.number().int().min(0),
  bootId: z.string(),
  /** Host uptime in milliseconds when this was written: monotonic, the same for all processes of a boot. */
  uptimeMs: z.number(),
});

/** What the previous daemon of this boot was doing. */
export interface Previous {
  readonly state: NodeState["name"];
  /** It ran the services or held the VIPs. */
  readonly serving: boolean;
  /** Milliseconds since it last said so. */
  readonly agoMs: number;
}

/** What the kernel says of this boot; read once, as it does not change. */
export interface Boot {
  /** The kernel's random id of this boot. */
  readonly id: string;
  /** Milliseconds since the host booted: monotonic, the same for all processes of a boot. */
  uptimeMs(): number;
}

/** Reads /proc once; the uptime goes on by the monotonic clock. */
export function readBoot(clock: Clock): Boot {
  const offset = Number.parseFloat(readKernelFile("/proc/uptime")) * 1000 - clock.nowMs();
  return {
    id: readKernelFile("/proc/sys/kernel/random/boot_id").trim(),
    uptimeMs: () => clock.nowMs() + offset,
  };
}

/** Reads and writes both files; writes are small, synchronous and atomic. */
export class Memory {
  readonly boot: Boot;
  readonly #statePath: string;
  readonly #servingPath: string;
  readonly #onTrouble: (message: string) => void;
  /** What the state file holds; undefined: not read yet. */
  #persisted: Persisted | null | undefined;

  constructor(options: {
    readonly stateDir: string;
    readonly runDir: string;
    readonly boot: Boot;
    readonly onTrouble: (message: string) => void;
  }) {
    this.boot = options.boot;
    this.#statePath = `${options.stateDir}/state.json`;
    this.#servingPath = `${options.runDir}/serving.json`;
    this.#onTrouble = options.onTrouble;
  }

  /**
   * What was persisted; null on the first start or when the file is damaged (which is reported). Read once:
   * only this process writes it.
   */
  load(): Persisted | null {
    if (this.#persisted === undefined) this.#persisted = this.#read(this.#statePath, Persisted);
    return this.#persisted;
  }

  /** Persists what must survive a reboot. @throws when the disk refuses */
  save({ epoch, failbackHeld, role, witnesses }: Omit<Persisted, "version">): void {
    const value = { version: 1, epoch, role, failbackHeld, witnesses } as const;
    this.#write(this.#statePath, value, { sync: true });
    this.#persisted = { ...value, witnesses: [...witnesses] };
  }

  /** Leaves word for the next daemon of this boot. */
  saveServing(
    state: Pick<NodeState, "name" | "epoch"> & { readonly serving: boolean },
  ): void {
    this.#write(this.#servingPath, {
      version: 1,
      state: state.name,
      serving: state.serving,
      epoch: state.epoch,
      bootId: this.boot.id,
      uptimeMs: this.boot.uptimeMs(),
    }, { sync: false });
  }

  /** What the previous daemon of this boot was doing; null if there was none. */
  previous(): Previous | null {
    const found = this.#read(this.#servingPath, Serving);
    if (found === null || found.bootId !== this.boot.id) return null;
    return {
      state: found.state,
      serving: found.serving,
      agoMs: Math.max(0, this.boot.uptimeMs() - found.uptimeMs),
    };
  }

  #read<T>(path: string, schema: z.ZodType<T>): T | null {
    try {
      return schema.parse(JSON.parse(Deno.readTextFileSync(path)));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      this.#onTrouble(`Cannot use ${path}: ${messageOf(error)}`);
      return null;
    }
  }

  #write(path: string, value: unknown, { sync }: { readonly sync: boolean }): void {
    writeSmallFile(path, `${JSON.stringify(value)}\n`, { sync });
  }
}
