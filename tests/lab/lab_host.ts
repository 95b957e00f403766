/**
 * One machine of the laboratory.
 *
 * @module
 */

import type { RunResult } from "../../src/os/process.ts";
import { poll } from "../support/poll.ts";
import type { LabCallOptions, LabTool } from "./lab_tool.ts";

/** Milliseconds that a boot may take on a busy machine. */
const BOOT_DEADLINE_MS = 120_000;

/** A network of the laboratory. */
export type NetworkName = "voip" | "data";

/** Interfaces of every machine, by network. */
export const INTERFACE: Readonly<Record<NetworkName, string>> = { voip: "eth0", data: "eth1" };

/** A machine with files and processes: `phone`, or a Debian host ({@linkcode LabHost}). */
export class LabMachine {
  constructor(readonly tool: LabTool, readonly name: string) {}

  /**
   * Runs a command in the machine.
   *
   * @throws {ToolFailedError} when the exit status is not 0
   * @throws {ToolTimeoutError} after the deadline (60 s); the command is killed
   */
  async exec(argv: readonly string[], options: LabCallOptions = {}): Promise<RunResult> {
    return await this.tool.run(["exec", this.name, ...argv], options);
  }

  /** Like {@linkcode exec}, for commands whose exit status is the answer (255: off or frozen). */
  async try(argv: readonly string[], options: LabCallOptions = {}): Promise<RunResult> {
    return await this.tool.try(["exec", this.name, ...argv], options);
  }

  /** Standard output of a command, without the line break at its end. */
  async read(argv: readonly string[], options: LabCallOptions = {}): Promise<string> {
    return (await this.exec(argv, options)).stdout.trimEnd();
  }

  /** Waits until a command exits with 0, or prints what `says` matches; returns what it printed. */
  async until(
    argv: readonly string[],
    options: { readonly deadlineMs: number; readonly what: string; readonly says?: RegExp },
  ): Promise<string> {
    let last = "it was not asked";
    return await poll(async () => {
      const { code, stdout, stderr } = await this.try(argv, { deadlineMs: options.deadlineMs });
      last = `"${argv.join(" ")}" exits with ${code}: ${stdout}${stderr}`;
      const seen = code === 0 && (options.says === undefined || options.says.test(stdout));
      return seen ? stdout || " " : null;
    }, { ...options, everyMs: 200, instead: () => last });
  }

  /** Puts a file (its mode is kept) or a whole folder of this machine at `path`. */
  async push(file: string, path: string): Promise<void> {
    await this.tool.run(["push", this.name, file, path]);
  }

  /** Copies a file to this machine. */
  async pull(path: string, file: string): Promise<void> {
    await this.tool.run(["pull", this.name, path, file]);
  }

  /** Writes a text file, owner root; makes its folder. */
  async writeFile(
    path: string,
    content: string,
    { mode = "644", owner = "root:root" }: { readonly mode?: string; readonly owner?: string } = {},
  ): Promise<void> {
    // "install" makes a new file: a symbolic link or a file that is open elsewhere is left alone.
    const args = ["-D", "-m", mode, "-o", owner.split(":")[0]!, "-g", owner.split(":")[1]!];
    await this.exec(["install", ...args, "/dev/stdin", path], { stdin: content });
  }

  /** Reads a text file. */
  async readFile(path: string): Promise<string> {
    return (await this.exec(["cat", "--", path])).stdout;
  }

  /** The file or folder exists. */
  async exists(path: string): Promise<boolean> {
    return (await this.exec(["sh", "-c", 'test -e "$1" && echo yes || echo no', "exists", path]))
      .stdout.startsWith("yes");
  }

  /** Unplugs the cable of a network (default: of both): the carrier is lost. */
  async cut(network?: NetworkName): Promise<void> {
    await this.#cable("cut", network);
  }

  /** The switch drops every frame, the carrier stays. */
  async mute(network?: NetworkName): Promise<void> {
    await this.#cable("mute", network);
  }

  /** Undoes {@linkcode cut} and {@linkcode mute}. */
  async plug(network?: NetworkName): Promise<void> {
    await this.#cable("plug", network);
  }

  async #cable(action: string, network?: NetworkName): Promise<void> {
    await this.tool.run([
      action,
      this.name,
      ...(network === undefined ? [] : [INTERFACE[network]]),
    ]);
  }
}

/** A Debian host with systemd as PID 1. */
export class LabHost extends LabMachine {
  /** Power on; returns when systemd says that the boot is complete. */
  async boot(): Promise<void> {
    await this.tool.run(["boot", this.name], { deadlineMs: BOOT_DEADLINE_MS });
  }

  /** Power on; returns when PID 1 runs. */
  async bootWithoutWaiting(): Promise<void> {
    await this.tool.run(["boot", this.name, "--no-wait"]);
  }

  /** Waits until the boot is complete; `running` or `degraded`. */
  async untilUp(): Promise<string> {
    const { stdout } = await this.tool.run(["wait", this.name], { deadlineMs: BOOT_DEADLINE_MS });
    return stdout.split(": ")[1]?.trim() ?? "";
  }

  /** Power cut: nothing more gets out, what was not synchronised to the disk is lost. */
  async crash(): Promise<void> {
    await this.tool.run(["crash", this.name]);
  }

  /** Orderly reboot; returns when the boot is complete. */
  async reboot(): Promise<void> {
    await this.tool.run(["reboot", this.name], { deadlineMs: 2 * BOOT_DEADLINE_MS });
  }

  /** Orderly shutdown. */
  async off(): Promise<void> {
    await this.tool.run(["off", this.name], { deadlineMs: 3 * BOOT_DEADLINE_MS });
  }

  /** Every process stands still; the kernel goes on answering ping and ARP. */
  async freeze(): Promise<void> {
    await this.tool.run(["freeze", this.name]);
  }

  /** Undoes {@linkcode freeze}. */
  async thaw(): Promise<void> {
    await this.tool.run(["thaw", this.name]);
  }

  /** What `journalctl ARGS` prints, of a host that is on or off, and of crashed boots, too. */
  async journal(args: readonly string[]): Promise<string> {
    return (await this.tool.run(["journal", this.name, ...args])).stdout;
  }

  /** systemd has the unit as active. */
  async isActive(unit: string): Promise<boolean> {
    return (await this.try(["systemctl", "is-active", "--quiet", unit])).code === 0;
  }

  /** Waits until `systemctl is-active` prints `state` for the unit. */
  async untilUnit(unit: string, state: string, deadlineMs = 60_000): Promise<void> {
    let seen = "";
    await poll(async () => {
      seen = (await this.try(["systemctl", "is-active", unit])).stdout.trim();
      return seen === state;
    }, {
      deadlineMs,
      everyMs: 200,
      what: `${unit} of ${this.name} ${state}`,
      instead: () => seen,
    });
  }
}
