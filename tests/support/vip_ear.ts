/**
 * Every frame in which one host speaks for a VIP, as another machine hears it.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { HostProcess } from "./host_process.ts";
import { poll } from "./poll.ts";

const DEADLINE_MS = 20_000;
/** Frames that are kept; the newest are dropped beyond it. */
const KEPT_MAX = 200_000;

/** A frame of the host for the VIP. */
export interface Heard {
  /** `announcement`: ARP, unasked; `arp`: an answer or a question from the VIP; `ip`: a packet from it. */
  readonly kind: "announcement" | "arp" | "ip";
  /** Milliseconds since 1970, by the clock of the machine that all of the test runs on. */
  readonly atMs: number;
}

/** What to hear. */
export interface VipEarOptions {
  readonly interfaceName: string;
  /** Of the host. */
  readonly mac: string;
  /** IPv4. */
  readonly vip: string;
  /** IPv4 address of the machine that hears. */
  readonly own: string;
  /** Ask the host itself for the VIP this often, by ARP and by ping; 0: only listen. */
  readonly everyMs: number;
}

/** Now, on the clock of {@linkcode Heard.atMs}. */
export function earNowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** A running ear. */
export class VipEar implements AsyncDisposable {
  readonly #process: HostProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  #ready = false;
  readonly #heard: Heard[] = [];

  private constructor(process: HostProcess) {
    this.#process = process;
    this.#input = process.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** Starts to ask and to listen; returns when it does. */
  static async start(
    host: { spawnPiped(argv: readonly string[]): HostProcess },
    { interfaceName, mac, vip, own, everyMs }: VipEarOptions,
  ): Promise<VipEar> {
    const script = fileURLToPath(new URL("./vip_ear_main.ts", import.meta.url));
    const deno = [Deno.execPath(), "run", "--no-check", "--allow-all", "--quiet"];
    const words = [script, interfaceName, mac, vip, own, String(everyMs)];
    const ear = new VipEar(host.spawnPiped([...deno, ...words]));
    await poll(() => ear.#ready, { deadlineMs: DEADLINE_MS, what: "the ear" });
    return ear;
  }

  /** What was heard from a moment on ({@linkcode earNowMs}), oldest first. */
  since(atMs: number): readonly Heard[] {
    return this.#heard.filter((each) => each.atMs >= atMs);
  }

  /** Ends it; harmless when repeated. */
  async close(): Promise<void> {
    await this.#input.close().catch(() => {}); // it has ended by itself
    await this.#process.ended(DEADLINE_MS);
    await this.#reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #read(): Promise<void> {
    for await (const line of this.#process.lines()) {
      const heard = JSON.parse(line) as Heard | { readonly ready: true };
      if ("ready" in heard) this.#ready = true;
      else if (this.#heard.length < KEPT_MAX) this.#heard.push(heard);
    }
  }
}
