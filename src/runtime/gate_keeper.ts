/**
 * Sets and installs the gate for a node: what fails is an alert, and nothing else stops for it.
 *
 * @module
 */

import { messageOf } from "../os/errors.ts";
import { getLog } from "../os/log.ts";
import type { Gate } from "../services/gate.ts";

const log = getLog("gate");

/** See the module. */
export class GateKeeper {
  readonly #gate: Gate;
  readonly #onTrouble: (text: string) => void;

  constructor(options: { readonly gate: Gate; readonly onTrouble: (text: string) => void }) {
    this.#gate = options.gate;
    this.#onTrouble = options.onTrouble;
  }

  /** Opens or closes it, at once. */
  set(to: "open" | "closed"): void {
    try {
      if (to === "open") this.#gate.open();
      else this.#gate.close();
    } catch (error) {
      this.#onTrouble(`Cannot set the gate: ${messageOf(error)}`);
    }
  }

  /** Makes the drop-ins agree with the configuration, in the background. */
  install(): void {
    this.#gate.install().then((changes) => {
      for (const text of changes) log.info(text, { event: "gate" });
    }).catch((error: unknown) => {
      for (const text of messageOf(error).split("\n")) this.#onTrouble(text);
    });
  }
}
