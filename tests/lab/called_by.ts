/**
 * Two telephones on the table, and which host's Asterisk puts a call through to one of them.
 *
 * @module
 */

import type { Laboratory } from "./laboratory.ts";
import { SERVED_DEADLINE_MS } from "./served_by.ts";
import { SipPhone } from "./sip_phone.ts";
import { SipWire } from "./sip_wire.ts";

/** A phone (1001) that registers once and answers from then on, and one that calls it (1002). */
export class PhonePair implements AsyncDisposable {
  readonly called: SipPhone;
  readonly caller: SipPhone;
  /** What passes their cable. */
  readonly wire: SipWire;
  readonly #laboratory: Laboratory;

  private constructor(
    laboratory: Laboratory,
    { called, caller, wire }: { called: SipPhone; caller: SipPhone; wire: SipWire },
  ) {
    this.#laboratory = laboratory;
    this.called = called;
    this.caller = caller;
    this.wire = wire;
  }

  /** Puts both on the table and registers 1001 at whoever serves. */
  static async registered(laboratory: Laboratory): Promise<PhonePair> {
    const called = await SipPhone.create(laboratory, "1001");
    const caller = await SipPhone.create(laboratory, "1002");
    const wire = await SipWire.start(laboratory);
    const pair = new PhonePair(laboratory, { called, caller, wire });
    try {
      await called.register();
      await called.answer();
    } catch (error) {
      await pair.close();
      throw error;
    }
    wire.clear();
    return pair;
  }

  /** Waits until 1001 can be called, by a call that came out of the network card of `host`. */
  async untilCalledBy(host: "master" | "slave"): Promise<void> {
    const before = this.wire.requests("INVITE").length;
    await this.caller.untilCallable(this.called.extension, SERVED_DEADLINE_MS);
    await this.wire.untilInvited(this.called.port, this.#laboratory.mac(host), before);
  }

  /** Times that a phone registered again since it was put on the table. */
  get registeredAgain(): number {
    return this.wire.requests("REGISTER").length;
  }

  /** Puts both away; harmless when repeated. */
  async close(): Promise<void> {
    await Promise.all([this.called.close(), this.caller.close(), this.wire.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
