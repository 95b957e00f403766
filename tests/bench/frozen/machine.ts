/**
 * A real machine with a kernel of its own, that can be made to stand still: QEMU by software emulation
 * (no KVM needed), Debian's cloud kernel, one network card on a tap device in a network namespace that
 * lives as long as this process.
 *
 * @module
 */

import { Holder } from "../../support/holder.ts";
import { HostProcess } from "../../support/host_process.ts";
import { poll } from "../../support/poll.ts";
import { runOk } from "../../../src/os/process.ts";
import { fileURLToPath } from "node:url";

export const MACHINE_MAC = "02:4c:20:00:00:11";
export const OUTSIDE_ADDRESS = "10.20.0.254";
export const TAP = "tap0";

const BOOT_DEADLINE_MS = 180_000;
const COMMAND_DEADLINE_MS = 60_000;

/** How the machine stands still. */
export type Stillness =
  /** The emulator is stopped: its clocks are the host's, and go on. A host that swaps, a stalled hypervisor. */
  | "frozen"
  /** The monitor's `stop`: its clocks stop, too. A paused or migrated virtual machine, a snapshot. */
  | "paused";

/** A running machine. */
export class Machine implements AsyncDisposable {
  readonly #holder: Holder;
  readonly #qemu: Deno.ChildProcess;
  readonly #serial: WritableStreamDefaultWriter<Uint8Array>;
  readonly #monitor: Monitor;
  readonly #lines: string[];

  private constructor(parts: {
    readonly holder: Holder;
    readonly qemu: Deno.ChildProcess;
    readonly lines: string[];
    readonly monitor: Monitor;
  }) {
    this.#holder = parts.holder;
    this.#qemu = parts.qemu;
    this.#lines = parts.lines;
    this.#monitor = parts.monitor;
    this.#serial = parts.qemu.stdin.getWriter();
  }

  /** Boots it from the folder that `image.sh` filled. */
  static async boot(folder: string): Promise<Machine> {
    const init = fileURLToPath(new URL("./namespace_init.sh", import.meta.url));
    const holder = await Holder.start({ unshare: ["--net", "--mount"], init: ["sh", init] });
    const monitorPath = `${folder}/monitor-${Deno.pid}`;
    const [command = "", ...args] = [
      ...["nsenter", `--net=/proc/${holder.pid}/ns/net`, "--"],
      ...["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"],
      ...["-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "256"],
      ...["-nodefaults", "-no-user-config", "-display", "none"],
      ...["-kernel", `${folder}/kernel`, "-initrd", `${folder}/initrd`],
      ...["-append", "console=ttyS0 quiet panic=-1"],
      ...["-netdev", `tap,id=n,ifname=${TAP},script=no,downscript=no`],
      ...["-device", `virtio-net-pci,netdev=n,mac=${MACHINE_MAC}`],
      ...["-serial", "stdio", "-qmp", `unix:${monitorPath},server=on,wait=off`],
    ];
    const qemu = new Deno.Command(command, { args, stdin: "piped", stdout: "piped" }).spawn();
    const lines: string[] = [];
    void collect(qemu.stdout, lines);
    try {
      await poll(() => lines.some((line) => line.startsWith("ready ")), {
        deadlineMs: BOOT_DEADLINE_MS,
        what: "a machine that has booted",
        instead: () => lines.slice(-10).join("\n"),
      });
      const monitor = await Monitor.connect(monitorPath);
      await Deno.remove(monitorPath);
      return new Machine({ holder, qemu, lines, monitor });
    } catch (error) {
      qemu.kill("SIGKILL");
      await holder.end();
      throw error;
    }
  }

  /** The kernel's clock source, as it said at boot. */
  get clockSource(): string {
    return /^ready \S+ (\S+)/m.exec(this.#lines.join("\n"))?.[1] ?? "?";
  }

  /** Runs a line of shell in the machine and returns what it printed; throws when it fails. */
  async run(line: string): Promise<string> {
    const from = this.#lines.length;
    await this.#serial.write(new TextEncoder().encode(`${line}\n`));
    const end = await poll(
      () => {
        const at = this.#lines.findIndex((each, i) => i >= from && /^done \d+$/.test(each));
        return at < 0 ? null : { at };
      },
      { deadlineMs: COMMAND_DEADLINE_MS, everyMs: 5, what: `the end of "${line}"` },
    );
    const said = this.#lines.slice(from, end.at).filter((each) => each !== line).join("\n");
    if (this.#lines[end.at] !== "done 0") throw new Error(`Cannot run "${line}": ${said}`);
    return said;
  }

  /** Stops it dead. */
  async still(how: Stillness): Promise<void> {
    if (how === "frozen") this.#qemu.kill("SIGSTOP");
    else await this.#monitor.command("stop");
  }

  /** Lets it go on; returns at once. */
  async goOn(how: Stillness): Promise<void> {
    if (how === "frozen") this.#qemu.kill("SIGCONT");
    else await this.#monitor.command("cont");
  }

  /** Starts a program of this machine in the network namespace of the machine's cable. */
  spawnPiped(argv: readonly string[]): HostProcess {
    const pid = String(this.#holder.pid);
    const enter = ["nsenter", "--target", pid, "--net", "--mount", `--wd=${Deno.cwd()}`, "--"];
    return HostProcess.start([...enter, ...argv], "piped");
  }

  /** Power off. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#monitor.close();
    this.#qemu.kill("SIGKILL");
    await this.#qemu.status;
    await this.#holder.end();
  }
}

/** QEMU's machine protocol, as far as it is needed (qemu-qmp-ref(7)). */
class Monitor {
  readonly #connection: Deno.UnixConn;
  readonly #lines: string[] = [];

  private constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
    void collect(connection.readable, this.#lines);
  }

  static async connect(path: string): Promise<Monitor> {
    const monitor = new Monitor(await Deno.connect({ transport: "unix", path }));
    await monitor.command("qmp_capabilities");
    return monitor;
  }

  async command(execute: string): Promise<void> {
    const before = this.#answers();
    await this.#connection.write(new TextEncoder().encode(`{"execute":"${execute}"}\n`));
    await poll(() => this.#answers() > before, {
      deadlineMs: COMMAND_DEADLINE_MS,
      everyMs: 1,
      what: `QEMU's answer to ${execute}`,
    });
  }

  close(): void {
    this.#connection.close();
  }

  #answers(): number {
    return this.#lines.filter((line) => line.startsWith('{"return"')).length;
  }
}

async function collect(stream: ReadableStream<Uint8Array>, lines: string[]): Promise<void> {
  let text = "";
  try {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const whole = text.split(/\r?\n/);
      text = whole.pop() ?? "";
      lines.push(...whole);
    }
  } catch {
    // Closed by us.
  }
}

/** Makes the image, if it is not there. */
export async function makeImage(folder: string): Promise<void> {
  const script = fileURLToPath(new URL("./image.sh", import.meta.url));
  await runOk([script, folder], { deadlineMs: 300_000 });
}
