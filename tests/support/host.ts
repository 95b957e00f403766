/**
 * A "machine" of a lab: own network, mounts, processes, host name, IPC, uptime and boot id, over a copy of
 * the machine's `/` that it may write to. Two of them can use the same paths and the same configuration
 * file. What it has not: a kernel and a wall clock of its own, a service manager, memory limits, and a disk
 * that loses what was not yet synchronised (the later laboratory has real systemd and ext4 disks).
 *
 * @module
 */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { run, runOk, type RunResult } from "../../src/os/process.ts";
import { HostProcess } from "./host_process.ts";
import { Holder } from "./holder.ts";
import { poll } from "./poll.ts";
import {
  childrenOf,
  namespaceOf,
  pidsInNamespace,
  processState,
  signalPid,
} from "./process_table.ts";
import { denoCacheFolder, shownPaths } from "./shown_paths.ts";
import type { Cable, CableAction, Switch } from "./switch.ts";

const DEADLINE_MS = 30_000;

/** One interface of a host. */
export interface HostInterface extends Cable {
  /** With prefix length: `10.20.0.11/24`, `fd20::11/64`. */
  readonly addresses: readonly string[];
}

/** What a host is made of. */
export interface TestHostOptions {
  readonly name: string;
  readonly ethernet: Switch;
  readonly interfaces: readonly HostInterface[];
  /** Gateway of the host's own default route; none by default. */
  readonly defaultVia?: string;
}

/** How to run a command in a host. */
export interface ExecOptions {
  /** Text for standard input; default: none. */
  readonly stdin?: string;
  /** Milliseconds until it is killed; default 30 s. */
  readonly deadlineMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** A machine in namespaces of its own. Needs root, iproute2 and util-linux. */
export class TestHost {
  readonly name: string;
  readonly interfaces: readonly HostInterface[];
  readonly #ethernet: Switch;
  readonly #defaultVia: string | undefined;
  #holder: Holder | null = null;

  constructor(options: TestHostOptions) {
    this.name = options.name;
    this.interfaces = options.interfaces;
    this.#ethernet = options.ethernet;
    this.#defaultVia = options.defaultVia;
  }

  /** PID 1 of the host as the test sees it. Throws when the host is off. */
  get pid(): number {
    if (this.#holder === null) throw new Error(`Cannot use host "${this.name}" as it is off`);
    return this.#holder.pid;
  }

  /** The host has power. */
  get on(): boolean {
    return this.#holder !== null;
  }

  /** The host's root folder as the test process sees it. Mind absolute symbolic links below it. */
  get root(): string {
    return `/proc/${this.pid}/root`;
  }

  /** Power on: fresh /run, /tmp, uptime and boot id; the disk is as it was. */
  async boot(): Promise<void> {
    if (this.#holder !== null) throw new Error(`Cannot boot "${this.name}" as it is on`);
    const init = fileURLToPath(new URL("./host_init.sh", import.meta.url));
    const holder = await Holder.start({
      // From the switch's mount namespace: it has the disks.
      prefix: ["nsenter", `--mount=/proc/${this.#ethernet.pid}/ns/mnt`, "--"],
      unshare: [
        ...["--mount", "--net", "--uts", "--ipc", "--propagation", "private"],
        ...uptimeFromZero(),
      ],
      init: ["sh", init, `/mnt/${this.name}`, this.name, ...shownPaths()],
    });
    this.#holder = holder;
    for (const cable of this.interfaces) await this.#ethernet.connect(cable, holder.pid);
    await this.exec(["ip", "-batch", "-"], { stdin: this.#addressLines().join("\n") + "\n" });
  }

  /** Power cut: silence on every cable first (no FIN or RST gets out), then everything ends at once. */
  async crash(): Promise<void> {
    const holder = this.#holder;
    if (holder === null) return;
    const starters = this.#starters();
    this.#holder = null;
    const ports = this.interfaces.map(({ port }) => port);
    await this.#ethernet.silence(ports);
    // Of a frozen host: who does not reap its child keeps the namespace from ending.
    for (const pid of starters) if (processState(pid) === "T") signalPid(pid, "SIGCONT");
    await holder.end();
    await this.#ethernet.disconnect(ports);
  }

  /** Pulls, silences or plugs the cables of these networks (default: all) in one go. */
  async cable(action: CableAction, networks?: readonly string[]): Promise<void> {
    const names = networks ?? this.interfaces.map(({ network }) => network);
    await this.#ethernet.cable(names.map((name) => this.#interface(name).port), action);
  }

  /**
   * Runs a command in the host and returns its exit status and output.
   *
   * @throws {ToolTimeoutError} after the deadline; the command is killed
   */
  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<RunResult> {
    return await runOk(this.enter(argv, options.env), runOptions(options));
  }

  /** Like {@linkcode exec}, for commands whose exit status is the answer. */
  async try(argv: readonly string[], options: ExecOptions = {}): Promise<RunResult> {
    return await run(this.enter(argv, options.env), runOptions(options));
  }

  /** Starts a command that stays; its output is appended to `logFile` inside the host. */
  spawn(
    argv: readonly string[],
    options: { readonly logFile: string; readonly env?: Readonly<Record<string, string>> },
  ): HostProcess {
    const script = 'exec "$@" >> "$0" 2>&1';
    const inside = this.enter(["sh", "-c", script, options.logFile, ...argv], options.env);
    return HostProcess.start(inside, "null");
  }

  /** Starts a command that stays, with its standard input and output as pipes. */
  spawnPiped(argv: readonly string[], env?: Readonly<Record<string, string>>): HostProcess {
    return HostProcess.start(this.enter(argv, env), "piped");
  }

  /** The argument list that runs `argv` in the host; it is killed when its caller ends. */
  enter(argv: readonly string[], env: Readonly<Record<string, string>> = {}): string[] {
    const variables = Object.entries({ ...baseEnvironment(), ...env });
    return [
      ...enterNamespaces(this.pid),
      ...["setpriv", "--pdeathsig", "KILL", "env", "-i"],
      ...variables.map(([name, value]) => `${name}=${value}`),
      ...argv,
    ];
  }

  /** Writes a file of the host (not atomic); makes its folder. */
  async writeFile(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
    const target = this.#path(path);
    await Deno.mkdir(dirname(target), { recursive: true });
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(target, bytes);
    await Deno.chmod(target, mode);
  }

  /** Reads a text file of the host. */
  async readFile(path: string): Promise<string> {
    return await Deno.readTextFile(this.#path(path));
  }

  /** The file or folder exists in the host. */
  exists(path: string): boolean {
    try {
      Deno.lstatSync(this.#path(path));
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /** Every process of the host (the test's numbering), without PID 1. */
  pids(): number[] {
    const identity = namespaceOf(this.pid, "pid");
    if (identity === null) return [];
    return pidsInNamespace("pid", identity).filter((pid) => pid !== this.pid);
  }

  /** Every process of the host stands still; its kernel goes on answering ping and ARP. */
  async freeze(): Promise<void> {
    await poll(() => {
      const moving = this.pids().filter((pid) => !isStill(pid));
      for (const pid of moving) signalPid(pid, "SIGSTOP");
      return moving.length === 0; // a process that was forked meanwhile is found by the next look
    }, { deadlineMs: DEADLINE_MS, everyMs: 5, what: `every process of ${this.name} stopped` });
    // One that has yet to stop would do so after thaw() had looked, and never be woken.
    await poll(
      () =>
        this.#starters().every((starter) =>
          isStill(starter) || !childrenOf(starter).some((pid) => processState(pid) === "T")
        ),
      { deadlineMs: DEADLINE_MS, everyMs: 5, what: `every starter for ${this.name} stopped` },
    );
  }

  /** Undoes {@linkcode freeze}. */
  async thaw(): Promise<void> {
    await poll(() => {
      const still = [...this.pids(), ...this.#starters()]
        .filter((pid) => processState(pid) === "T");
      for (const pid of still) signalPid(pid, "SIGCONT");
      return still.length === 0;
    }, { deadlineMs: DEADLINE_MS, everyMs: 5, what: `every process of ${this.name} continued` });
  }

  /** What started processes here from outside: nsenter stops itself with its child (WIFSTOPPED). */
  #starters(): number[] {
    const identity = namespaceOf(this.pid, "pid");
    if (identity === null) return [];
    return pidsInNamespace("pid_for_children", identity)
      .filter((pid) => namespaceOf(pid, "pid") !== identity);
  }

  #addressLines(): string[] {
    const lines = this.interfaces.flatMap(({ interfaceName, addresses }) => [
      // nodad: the lab's own addresses are free; waiting a second for each boot would prove nothing.
      ...addresses.map((address) =>
        `addr add ${address} dev ${interfaceName}${address.includes(":") ? " nodad" : ""}`
      ),
      `link set ${interfaceName} up`,
    ]);
    if (this.#defaultVia !== undefined) lines.push(`route add default via ${this.#defaultVia}`);
    return lines;
  }

  #interface(network: string): HostInterface {
    const found = this.interfaces.find((each) => each.network === network);
    if (found !== undefined) return found;
    throw new Error(`Cannot find network "${network}" on ${this.name} as it is not connected`);
  }

  #path(path: string): string {
    // An absolute symbolic link would lead out of the host: /var/run is the one in use.
    return this.root + path.replace(/^\/var\/run(?=\/|$)/, "/run");
  }
}

/** The `nsenter` that puts a command into every namespace of a host. */
function enterNamespaces(pid: number): string[] {
  const time = uptimeFromZero().length > 0 ? ["--time"] : [];
  const kinds = ["--mount", "--uts", "--ipc", "--net", "--pid", ...time, "--root", "--wd"];
  return ["nsenter", "--target", String(pid), ...kinds, "--"];
}

/** Options of `unshare` that let /proc/uptime count from this power-on, where the kernel can (5.6). */
function uptimeFromZero(): string[] {
  try {
    Deno.lstatSync("/proc/self/ns/time");
  } catch {
    return [];
  }
  const uptime = Number(Deno.readTextFileSync("/proc/uptime").split(".")[0]);
  return ["--time", "--boottime", String(-uptime)];
}

function baseEnvironment(): Record<string, string> {
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/root",
    USER: "root",
    LANG: "C.UTF-8",
    DENO_DIR: denoCacheFolder(),
    DENO_NO_UPDATE_CHECK: "1",
    DENO_TLS_CA_STORE: "system,mozilla",
  };
}

function isStill(pid: number): boolean {
  const state = processState(pid);
  return state === null || state === "T" || state === "Z" || state === "X";
}

function runOptions(
  options: ExecOptions,
): { readonly deadlineMs: number; readonly stdin?: string } {
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  return options.stdin === undefined ? { deadlineMs } : { deadlineMs, stdin: options.stdin };
}
