/**
 * `relais keygen`: makes the cluster key.
 *
 * @module
 */

import { generateKey, KeyError, keyFileText } from "../heartbeat/key.ts";
import { messageOf } from "../os/errors.ts";

/**
 * Creates the key file at `path`, readable by its owner only, and never replaces one.
 *
 * @throws {KeyError} when the file exists already or cannot be written
 */
export async function keygen(path: string): Promise<void> {
  const text = keyFileText(generateKey());
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) {
      throw new KeyError(
        `Cannot make a cluster key as ${path} exists: to replace the key of both hosts: relais keygen --rotate`,
        { cause },
      );
    }
    const why = messageOf(cause);
    throw new KeyError(`Cannot make the cluster key ${path}: ${why}`, { cause });
  }
  try {
    await file.write(new TextEncoder().encode(text));
    await file.sync();
  } catch (cause) {
    await Deno.remove(path);
    const why = messageOf(cause);
    throw new KeyError(`Cannot write the cluster key ${path}: ${why}`, { cause });
  } finally {
    file.close();
  }
}
