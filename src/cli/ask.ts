/**
 * Questions on the terminal. They go to standard error, so that standard output stays what was asked for;
 * answers are lines of standard input.
 *
 * @module
 */

import { writeAll } from "../os/write_all.ts";

/** Longest answer, in bytes. */
const MAX_ANSWER_BYTES = 4096;

/** Where questions are asked. */
export interface Asker {
  /** The line that was typed, without surrounding blanks; null: the input has ended (Ctrl-D). */
  ask(question: string): Promise<string | null>;
}

/** Somebody can be asked: standard input is a terminal. */
export function canAsk(): boolean {
  return Deno.stdin.isTerminal();
}

/** Asks on the terminal of this process. `signal` ends a question that waits. */
export function terminalAsker(signal: AbortSignal): Asker {
  const decoder = new TextDecoder();
  let typed = "";
  return {
    ask: async (question) => {
      await writeAll(Deno.stderr, new TextEncoder().encode(question));
      while (!typed.includes("\n")) {
        const chunk = new Uint8Array(MAX_ANSWER_BYTES);
        const count = await untilAborted(Deno.stdin.read(chunk), signal);
        if (count === null || typed.length > MAX_ANSWER_BYTES) return null;
        typed += decoder.decode(chunk.subarray(0, count), { stream: true });
      }
      const at = typed.indexOf("\n");
      const line = typed.slice(0, at).trim();
      typed = typed.slice(at + 1);
      return line;
    },
  };
}

/** `question [y/N]`; anything but y, yes, o, oui is no. */
export async function confirm(asker: Asker, question: string): Promise<boolean> {
  const answer = await asker.ask(`${question} [y/N] `);
  return answer !== null && /^(y|yes|o|oui)$/i.test(answer);
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
