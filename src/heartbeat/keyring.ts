/**
 * The cluster keys that are in use now, shared by all who sign or check: a change is seen by all of them
 * in the same moment.
 *
 * @module
 */

import { keyId } from "./key.ts";

/** See the module. */
export class Keyring {
  #keys: readonly Uint8Array[];
  #ids: readonly string[];

  /** An empty list: there is no key. */
  constructor(keys: readonly Uint8Array[] = []) {
    this.#keys = keys;
    this.#ids = keys.map(keyId);
  }

  /** The first signs, all are accepted. */
  get keys(): readonly Uint8Array[] {
    return this.#keys;
  }

  /** Takes these from now on. */
  set(keys: readonly Uint8Array[]): void {
    this.#keys = keys;
    this.#ids = keys.map(keyId);
  }

  /** Their names, in the same order; see {@linkcode keyId}. */
  get ids(): readonly string[] {
    return this.#ids;
  }
}
