/**
 * The outside observer that is not relais: tcpdump in the watcher's machine, where a telephone would be. Its
 * frames carry the kernel's time stamps, so that a busy machine does not bend them; what is asked there (by
 * the observer's ARP probes, each 10 ms) and answered is what a client of the network hears.
 *
 * @module
 */

import type { Lab } from "../support/lab.ts";
import { Observer, type ProbeTarget } from "../support/observer.ts";
import { poll } from "../support/poll.ts";
import type { HostProcess } from "../support/host_process.ts";
import { PcapReader } from "./pcap.ts";
import { VipRecord } from "./ruler.ts";

const ASK_EVERY_MS = 10;
const LOG = "/var/log/tcpdump.log";
const TCPDUMP = "exec tcpdump -i any -y LINUX_SLL2 -n -U --immediate-mode -s 64 -B 8192 -Z root " +
  `-w - arp 2> ${LOG}`;
const DEADLINE_MS = 20_000;

/** A running capture with one who asks. */
export class Capture {
  readonly vips: readonly VipRecord[];
  readonly #process: HostProcess;
  readonly #asker: Observer;
  readonly #reading: Promise<void>;
  #trouble: unknown = null;

  private constructor(lab: Lab, process: HostProcess, asker: Observer) {
    this.vips = lab.networks.map((_, n) => {
      const vip = lab.vip(n);
      const network = vip.slice(0, vip.lastIndexOf("."));
      return new VipRecord(vip, [51, 52, 53, 54].map((number) => `${network}.${number}`));
    });
    this.#process = process;
    this.#asker = asker;
    this.#reading = this.#read().catch((error: unknown) => {
      this.#trouble = error;
    });
  }

  /** Starts to ask and to listen; returns when both do. */
  static async start(lab: Lab): Promise<Capture> {
    const process = lab.watcher.spawnPiped(["sh", "-c", TCPDUMP]);
    const targets = lab.networks.map((name, n): ProbeTarget => ({
      name,
      kind: "arp",
      address: lab.vip(n),
      interfaceName: `eth${n}`,
      everyMs: ASK_EVERY_MS,
    }));
    const capture = new Capture(lab, process, await Observer.start(lab.watcher, targets));
    await poll(() => capture.vips.every(({ questions }) => questions.length > 0), {
      deadlineMs: DEADLINE_MS,
      what: "a captured question",
      instead: async () => `${capture.#trouble ?? ""} ${await lab.watcher.readFile(LOG)}`,
    });
    return capture;
  }

  /** Throws when it has stopped to see: what it would have said since then is not known. */
  mustRun(): void {
    if (this.#trouble !== null) throw this.#trouble;
    if (!this.#process.running) throw new Error("Cannot judge as tcpdump has ended");
  }

  /** Waits until it has seen everything up to now. */
  async caughtUp(): Promise<number> {
    const now = Date.now();
    await poll(() => this.vips.every(({ questions }) => (questions.at(-1)?.at ?? 0) > now), {
      deadlineMs: DEADLINE_MS,
      everyMs: 5,
      what: "the capture of this moment",
    });
    return now;
  }

  /** Ends both. */
  async close(): Promise<void> {
    await this.#asker.close();
    await this.#process.end("SIGTERM");
    await this.#process.stdin.close().catch(() => {}); // gone with its reader
    await this.#reading;
  }

  async #read(): Promise<void> {
    const reader = new PcapReader();
    for await (const chunk of this.#process.stdout) {
      for (const seen of reader.read(chunk)) {
        for (const vip of this.vips) vip.take(seen);
      }
    }
  }
}
