/**
 * The laboratory as the stories use it: two Debian hosts, a phone, and the means to break them. Needs
 * root and the tools of `packaging/toolchain/setup.sh lab`.
 *
 * ```
 * await using laboratory = await Laboratory.open();
 * await laboratory.master.crash();
 * ```
 *
 * @module
 */

import { HostProcess } from "../support/host_process.ts";
import { address4, HOST_NUMBERS, type HostName, VIP_NUMBER } from "../support/lab.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import { LabGuard } from "./lab_guard.ts";
import { INTERFACE, LabHost, LabMachine, type NetworkName } from "./lab_host.ts";
import { LabTool } from "./lab_tool.ts";

/** The first build of the hosts' image counts, too: about a minute, more on a busy machine. */
const UP_DEADLINE_MS = 900_000;

/** Every machine of the laboratory. */
export type MachineName = Exclude<HostName, "client" | "stranger"> | "phone";

const NETWORKS: readonly NetworkName[] = ["voip", "data"];

/** The root password of both hosts. */
export const ROOT_PASSWORD = "lab";

/** How to open a laboratory. */
export interface LaboratoryOptions {
  /** Where it lives. Default: `LAB_DIR`, else a folder that belongs to this checkout alone. */
  readonly directory?: string;
  /** It stays when this process ends, until `lab down`: for people to play with. Default: false. */
  readonly stays?: boolean;
  /**
   * Disks to start from: those saved under this name or, when there are none, fresh ones that `make`
   * prepares and that are then saved. Let the name tell what it is made of: `relais-DIGEST`. The two
   * names used last are kept for later runs.
   */
  readonly from?: {
    readonly name: string;
    readonly make: (laboratory: Laboratory) => Promise<void>;
  };
}

/** A running laboratory. */
export class Laboratory implements AsyncDisposable {
  readonly tool: LabTool;
  readonly master: LabHost;
  readonly slave: LabHost;
  readonly phone: LabMachine;
  /** Null: the laboratory stays. */
  readonly #guard: LabGuard | null;

  private constructor(tool: LabTool, guard: LabGuard | null) {
    this.tool = tool;
    this.#guard = guard;
    this.master = new LabHost(tool, "master");
    this.slave = new LabHost(tool, "slave");
    this.phone = new LabMachine(tool, "phone");
  }

  /**
   * Takes the laboratory's folder, boots both hosts and the phone. It is taken down by
   * {@linkcode close}, and when this process ends in any other way.
   *
   * @throws {Error} when another test run has the folder
   * @throws {ToolFailedError} when something does not boot, with what it said
   */
  static async open(options: LaboratoryOptions = {}): Promise<Laboratory> {
    if (Deno.uid() !== 0) {
      throw new Deno.errors.PermissionDenied(
        "Cannot open the laboratory as you are not root: run it as root",
      );
    }
    const tool = new LabTool(options.directory ?? defaultDirectory());
    const guard = options.stays === true ? null : await LabGuard.start(tool);
    const laboratory = new Laboratory(tool, guard);
    try {
      await laboratory.#up(options.from);
    } catch (error) {
      await laboratory.close();
      throw error;
    }
    return laboratory;
  }

  /** Both Debian hosts. */
  get hosts(): readonly [LabHost, LabHost] {
    return [this.master, this.slave];
  }

  /** IPv4 address of a machine. */
  address(name: MachineName, network: NetworkName = "voip"): string {
    return address4(NETWORKS.indexOf(network), HOST_NUMBERS[name === "phone" ? "client" : name]);
  }

  /** The VIP of a network. */
  vip(network: NetworkName = "voip"): string {
    return address4(NETWORKS.indexOf(network), VIP_NUMBER);
  }

  /** MAC address of a machine's interface: `02:4c:20:00:00:11`, the digits of its address. */
  mac(name: MachineName, network: NetworkName = "voip"): string {
    const digits = this.address(name, network).split(".").at(-1)!.padStart(4, "0");
    return `02:4c:${20 + 10 * NETWORKS.indexOf(network)}:00:${digits.slice(0, 2)}:${
      digits.slice(2)
    }`;
  }

  /** Which host a MAC address belongs to; null: neither. */
  hostOf(mac: string | null): "master" | "slave" | null {
    const names = ["master", "slave"] as const;
    return names.find((name) => NETWORKS.some((net) => this.mac(name, net) === mac)) ?? null;
  }

  /** Master and slave see each other no more on a network (default: on both); all others see both. */
  async split(network?: NetworkName): Promise<void> {
    await this.tool.run(["split", ...(network === undefined ? [] : [INTERFACE[network]])]);
  }

  /** Undoes {@linkcode split}. */
  async join(network?: NetworkName): Promise<void> {
    await this.tool.run(["join", ...(network === undefined ? [] : [INTERFACE[network]])]);
  }

  /**
   * Starts a program of this machine, with its files, on the network of a machine of the laboratory,
   * with standard input and output as pipes. It ends with this process.
   */
  spawnBeside(name: MachineName, argv: readonly string[]): HostProcess {
    return HostProcess.start(this.tool.argv(["net", name, ...argv]), "piped");
  }

  /** A place to start tests' own programs from, as the observers of `tests/support` want it. */
  beside(name: MachineName): { spawnPiped(argv: readonly string[]): HostProcess } {
    return { spawnPiped: (argv) => this.spawnBeside(name, argv) };
  }

  /** Takes everything down and deletes the disks, unless it stays; harmless when repeated. */
  async close(): Promise<void> {
    await this.#guard?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #up(from: LaboratoryOptions["from"]): Promise<void> {
    const options = { deadlineMs: UP_DEADLINE_MS };
    if (from === undefined) {
      await this.tool.run(["up"], options);
      return;
    }
    if ((await this.tool.try(["saved", from.name])).code !== 0) {
      await this.tool.run(["up"], options);
      await from.make(this);
      await this.tool.run(["save", from.name], options);
    }
    await this.tool.run(["up", from.name], options);
  }
}

/** Two checkouts on one machine, or two users of `LAB_DIR`, do not meet. */
function defaultDirectory(): string {
  const given = Deno.env.get("LAB_DIR");
  if (given !== undefined) return given;
  let hash = 0;
  for (const character of REPOSITORY) hash = (hash * 31 + character.charCodeAt(0)) >>> 0;
  return `/var/tmp/relais-lab-test-${hash.toString(16)}`;
}
