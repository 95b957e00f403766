/**
 * The key files of this host while a key is replaced: each change is one whole file, written aside and
 * renamed, after which the daemon reads them; whatever is cut off in between, both files together hold a
 * good set.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  KeyError,
  keyFileText,
  keyId,
  nextKeyPath,
  readKeyFile,
  readKeys,
} from "../heartbeat/key.ts";
import { removeIfThere, syncPath, writeFileAtomically } from "../os/durable_file.ts";
import type { KeyOrder, KeyState } from "./key_protocol.ts";
import { dirname } from "node:path";

/** The daemon of this host. */
export interface KeyDaemon {
  /** Names of the keys that it uses; null: it does not run. */
  keys(): Promise<readonly string[] | null>;
  /** Has it read the files. @throws {Error} in words, when it did not take them */
  reload(): Promise<void>;
}

/** See the module. */
export class KeyFiles {
  readonly #path: string;
  readonly #daemon: KeyDaemon;

  constructor(path: string, daemon: KeyDaemon) {
    this.#path = path;
    this.#daemon = daemon;
  }

  /** All keys that this host accepts, the one that signs first. @throws {KeyError} */
  get keys(): readonly Uint8Array[] {
    return readKeys(this.#path);
  }

  /**
   * Does what is asked, unless it is done already, and sees to it that the daemon uses what is in the
   * files.
   *
   * @throws {KeyError} when the files are not such that it can be done
   * @throws {Error} when the daemon does not take them
   */
  async do(order: KeyOrder): Promise<KeyState> {
    switch (order.do) {
      case "look":
        break;
      case "offer":
        await this.#offer(order.key);
        break;
      case "promote":
        await this.#promote(order.id);
        break;
      case "finish":
        await this.#finish(order.id);
        break;
    }
    return await this.#settle();
  }

  /** Takes the key that was to follow back. */
  async withdraw(): Promise<KeyState> {
    await this.#removeNext();
    return await this.#settle();
  }

  /** Forgets all but the key that signs. */
  async keepFirst(): Promise<KeyState> {
    const [first] = readKeyFile(this.#path);
    if (first === undefined) throw new KeyError(`Cannot find a key in ${this.#path}`);
    return await this.do({ do: "finish", id: keyId(first) });
  }

  async #offer(text: string): Promise<void> {
    const key = new Uint8Array(Buffer.from(text, "base64"));
    const known = this.#next();
    if (readKeyFile(this.#path).some((each) => Buffer.compare(each, key) === 0)) return;
    if (known !== null) {
      if (Buffer.compare(known, key) === 0) return;
      throw new KeyError(
        "Cannot take a new cluster key as the replacement by another one is under way on this host: finish " +
          "that one here with: relais keygen --rotate",
      );
    }
    const path = nextKeyPath(this.#path);
    await writeFileAtomically(path, keyFileText(text));
    // What was written must be what is read: a key that is too short is refused here, not by the daemon.
    try {
      readKeyFile(path);
    } catch (cause) {
      await this.#removeNext();
      throw cause;
    }
  }

  async #promote(id: string): Promise<void> {
    const all = this.keys;
    const chosen = all.find((key) => keyId(key) === id);
    if (chosen === undefined) {
      throw new KeyError(`Cannot sign with the key ${id} as this host does not have it`);
    }
    await this.#write([chosen, ...all.filter((key) => key !== chosen)]);
    await this.#removeNext();
  }

  async #finish(id: string): Promise<void> {
    const keys = readKeyFile(this.#path);
    const [first] = keys;
    if (first === undefined || keyId(first) !== id) {
      throw new KeyError(`Cannot keep the key ${id} alone as this host does not sign with it`);
    }
    if (keys.length > 1) await this.#write([first]);
    await this.#removeNext();
  }

  async #write(keys: readonly Uint8Array[]): Promise<void> {
    const words = keys.map((key) => Buffer.from(key).toString("base64"));
    await writeFileAtomically(this.#path, keyFileText(...words));
  }

  async #removeNext(): Promise<void> {
    await removeIfThere(nextKeyPath(this.#path));
    await syncPath(dirname(this.#path));
  }

  /** The key that is to follow. */
  #next(): Uint8Array | null {
    const current = readKeyFile(this.#path);
    const isCurrent = (key: Uint8Array): boolean =>
      current.some((known) => Buffer.compare(known, key) === 0);
    return this.keys.find((key) => !isCurrent(key)) ?? null;
  }

  async #settle(): Promise<KeyState> {
    const wanted = this.keys.map(keyId);
    const next = this.#next();
    const running = await this.#makeDaemonUse(wanted);
    const current = readKeyFile(this.#path).map(keyId);
    return { current, next: next === null ? null : keyId(next), running };
  }

  /** False: there is no daemon; the next one reads the files. */
  async #makeDaemonUse(wanted: readonly string[]): Promise<boolean> {
    const uses = (keys: readonly string[]): boolean => keys.join() === wanted.join();
    const before = await this.#daemon.keys();
    if (before === null) return false;
    if (uses(before)) return true;
    await this.#daemon.reload();
    const after = await this.#daemon.keys();
    if (after === null || uses(after)) return after !== null;
    throw new Error(
      `Cannot make the daemon use ${this.#path} as it uses other keys after a reload: does it read another ` +
        "file (relais daemon --key)?",
    );
  }
}
