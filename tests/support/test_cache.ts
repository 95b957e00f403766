/**
 * What is costly to make and always the same is made once: `dist/test-cache/NAME`, also for test processes that
 * run side by side. `make clean` removes it.
 *
 * @module
 */

import { REPOSITORY } from "./shown_paths.ts";

/** Where all of it is. */
const FOLDER = `${REPOSITORY}/dist/test-cache`;

/**
 * The folder of that name; null: it was not made yet.
 *
 * @param name says all that its content depends on
 */
export async function fromTestCache(name: string): Promise<string | null> {
  const path = `${FOLDER}/${name}`;
  return await Deno.stat(path).then(() => path, () => null);
}

/** Makes the folder of that name, whole or not at all; who comes second has worked in vain. */
export async function intoTestCache(
  name: string,
  make: (part: string) => Promise<void>,
): Promise<string> {
  const path = `${FOLDER}/${name}`;
  const part = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  await Deno.mkdir(FOLDER, { recursive: true });
  try {
    await make(part);
    await Deno.rename(part, path);
  } catch (error) {
    await Deno.remove(part, { recursive: true }).catch(() => {}); // It may not be there yet.
    if (await fromTestCache(name) === null) throw error;
  }
  return path;
}
