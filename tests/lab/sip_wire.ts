/**
 * What passes the phone's cable: the SIP requests that decide whether a phone had to register again, and
 * whose network card a call came from. Heard by tcpdump, so that neither SIPp nor Asterisk is asked.
 *
 * @module
 */

import { HostProcess } from "../support/host_process.ts";
import { poll } from "../support/poll.ts";
import { INTERFACE } from "./lab_host.ts";
import type { Laboratory } from "./laboratory.ts";

const DEADLINE_MS = 20_000;
/** Requests that are kept. */
const KEPT_MAX = 10_000;

/** Methods that are listened for: their first four letters in the payload of UDP. */
const METHODS = { INVITE: 0x494e5649, REGISTER: 0x52454749 } as const;
/** See {@linkcode SipWire.requests}. */
export type SipMethod = keyof typeof METHODS;

/** A SIP request on the phone's cable; one that was sent again is there twice. */
export interface SipRequest {
  readonly fromMac: string;
  readonly toMac: string;
  /** `10.20.0.50:5071`. */
  readonly from: string;
  readonly to: string;
  readonly method: SipMethod;
}

/** `TIME MAC > MAC, ethertype IPv4 (0x0800), length N: IP.PORT > IP.PORT: SIP: METHOD …` of `tcpdump -e -n`. */
export function sipRequest(line: string): SipRequest | null {
  const parts = line.match(
    /^\S+ ([0-9a-f:]{17}) > ([0-9a-f:]{17}), .*?: ([\d.]+)\.(\d+) > ([\d.]+)\.(\d+): (?:SIP: )?([A-Z]+) /,
  );
  if (parts === null) return null;
  const [, fromMac, toMac, from, fromPort, to, toPort, method] = parts;
  if (method !== "INVITE" && method !== "REGISTER") return null;
  return {
    fromMac: fromMac!,
    toMac: toMac!,
    from: `${from}:${fromPort}`,
    to: `${to}:${toPort}`,
    method,
  };
}

/** Listens at the phone's plug on network voip. */
export class SipWire implements AsyncDisposable {
  readonly #process: HostProcess;
  readonly #reading: Promise<void>;
  #ready = false;
  #heard: SipRequest[] = [];

  private constructor(process: HostProcess) {
    this.#process = process;
    this.#reading = this.#read();
  }

  /** Starts to listen; returns when it does. */
  static async start(laboratory: Laboratory): Promise<SipWire> {
    const letters = Object.values(METHODS).map((value) => `udp[8:4] = ${value}`).join(" or ");
    const tcpdump = ["tcpdump", "-Z", "root", "-i", INTERFACE.voip, "-e", "-n", "-tt", "-l"];
    const argv = [...tcpdump, "--immediate-mode", letters];
    // It says on standard error when it listens.
    const merged = ["sh", "-c", 'exec "$@" 2>&1', "tcpdump", ...argv];
    const wire = new SipWire(laboratory.spawnBeside("phone", merged));
    await poll(() => wire.#ready, { deadlineMs: DEADLINE_MS, what: "tcpdump listening" });
    return wire;
  }

  /** Forgets what was heard so far. */
  clear(): void {
    this.#heard = [];
  }

  /** Requests of a method since {@linkcode clear}, oldest first. */
  requests(method: SipMethod): readonly SipRequest[] {
    return this.#heard.filter((each) => each.method === method);
  }

  /**
   * Waits for a call from the host with `fromMac` to a phone's port: what its Asterisk sends to a contact.
   * What passed before it has then been heard, too.
   *
   * @param after INVITEs that are not meant: `requests("INVITE").length` before the call
   */
  async untilInvited(port: number, fromMac: string, after = 0): Promise<SipRequest> {
    return await poll(
      () =>
        this.requests("INVITE").slice(after).find((each) =>
          each.fromMac === fromMac && each.to.endsWith(`:${port}`)
        ),
      {
        deadlineMs: DEADLINE_MS,
        everyMs: 20,
        what: `a call from ${fromMac} to port ${port}`,
        instead: () => JSON.stringify(this.#heard.slice(-5)),
      },
    );
  }

  /** Ends it; harmless when repeated. */
  async close(): Promise<void> {
    this.#process.killStarter();
    await this.#process.stdin.close().catch(() => {}); // it has ended by itself
    await this.#process.ended(DEADLINE_MS);
    await this.#reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #read(): Promise<void> {
    for await (const line of this.#process.lines()) this.#take(line);
  }

  #take(line: string): void {
    if (line.includes("listening on")) this.#ready = true;
    const request = sipRequest(line);
    if (request !== null && this.#heard.length < KEPT_MAX) this.#heard.push(request);
  }
}
