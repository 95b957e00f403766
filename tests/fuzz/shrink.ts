/**
 * Makes a failing input small: cuts pieces out and makes bytes plain as long as it fails in the same way.
 *
 * @module
 */

import { concat } from "./bytes.ts";

/** Tries at most. */
const TRIES = 1500;

/** The smallest input found for which `failsAlike` still holds. */
export async function shrink(
  input: Uint8Array,
  failsAlike: (input: Uint8Array) => Promise<boolean>,
): Promise<Uint8Array> {
  let best = input;
  let tries = 0;
  const better = async (candidate: Uint8Array): Promise<boolean> => {
    if (tries++ >= TRIES || !(await failsAlike(candidate))) return false;
    best = candidate;
    return true;
  };
  for (let size = Math.ceil(best.length / 2); size >= 1 && tries < TRIES;) {
    let removed = false;
    for (let at = 0; at < best.length && tries < TRIES;) {
      const candidate = concat(best.subarray(0, at), best.subarray(at + size));
      if (await better(candidate)) removed = true;
      else at += size;
    }
    if (!removed) size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  for (let at = 0; at < best.length && tries < TRIES; at++) {
    if (best[at] === 0x61) continue;
    const candidate = new Uint8Array(best);
    candidate[at] = 0x61;
    await better(candidate);
  }
  return best;
}

/** What makes two failures the same: kind and place, not the values in the text. */
export function kindOfFailure(what: string): string {
  const place = /\(([^()]*)\)$/.exec(what)?.[1] ?? "";
  return `${what.split(":")[0]} ${place}`;
}
