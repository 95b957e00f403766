/**
 * Who announced which address on a network, as another machine there hears it.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { TestHost } from "./host.ts";
import type { HostProcess } from "./host_process.ts";
import { poll } from "./poll.ts";

const DEADLINE_MS = 20_000;
/** Announcements that are kept. */
const KEPT_MAX = 10_000;

/** One gratuitous ARP frame. */
export interface Announcement {
  readonly ip: string;
  readonly mac: string;
  /** 1: request, 2: reply. */
  readonly operation: number;
}

/** Hears gratuitous ARP on `eth0` of a machine. */
export class ArpEar {
  readonly #process: HostProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  #ready = false;
  readonly #heard: Announcement[] = [];

  private constructor(process: HostProcess) {
    this.#process = process;
    this.#input = process.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** Starts to listen; returns when it does. */
  static async start(host: Pick<TestHost, "spawnPiped">): Promise<ArpEar> {
    const script = fileURLToPath(new URL("./arp_ear_main.ts", import.meta.url));
    const deno = [Deno.execPath(), "run", "--no-check", "--allow-all", "--quiet"];
    const ear = new ArpEar(host.spawnPiped([...deno, script, "eth0"]));
    await poll(() => ear.#ready, { deadlineMs: DEADLINE_MS, what: "the ear" });
    return ear;
  }

  /** Announcements so far. */
  get count(): number {
    return this.#heard.length;
  }

  /** Those of an address by a MAC, from number `from` on. */
  announcements(ip: string, mac: string, from = 0): readonly Announcement[] {
    return this.#heard.slice(from).filter((each) => each.ip === ip && each.mac === mac);
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
      const heard = JSON.parse(line) as Announcement | { readonly ready: true };
      if ("ready" in heard) this.#ready = true;
      else if (this.#heard.length < KEPT_MAX) this.#heard.push(heard);
    }
  }
}
