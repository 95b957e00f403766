/**
 * Questions on the terminal. They go to standard error, so that standard output stays what was asked for;
 * answers are lines of standard input.
 *
 * @module
 */

import { runOk } from "../os/process.ts";
import { writeAll } from "../os/write_all.ts";

/** Somebody may have to type into a window that the program opens. */
const ASKPASS_DEADLINE_MS = 5 * 60_000;
/** Longest answer, in bytes. */
const MAX_ANSWER_BYTES = 4096;

/** Where questions are asked. */
export interface Asker {
  /** The line that was typed, without surrounding blanks (a secret: as it is); null: the input has ended (Ctrl-D). */
  ask(question: string): Promise<string | null>;
}

/** Somebody can be asked: standard input is a terminal. */
export function canAsk(): boolean {
  return Deno.stdin.isTerminal();
}

/** Asks on the terminal of this process. `signal` ends a question that waits. */
export function terminalAsker(signal: AbortSignal, isSecret = false): Asker {
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
      const line = typed.slice(0, at);
      typed = typed.slice(at + 1);
      return isSecret ? line : line.trim();
    },
  };
}

/**
 * A password, typed without echo; without a terminal, from the program in SSH_ASKPASS, as ssh does.
 *
 * @throws {Error} when there is neither, or the input ended
 */
export async function askPassword(question: string, signal: AbortSignal): Promise<string> {
  const program = Deno.env.get("SSH_ASKPASS") ?? "";
  const isForced = Deno.env.get("SSH_ASKPASS_REQUIRE") === "force";
  if (program !== "" && (isForced || !canAsk())) {
    const { stdout } = await runOk([program, question], {
      deadlineMs: ASKPASS_DEADLINE_MS,
      signal,
    });
    return stdout.split("\n")[0] ?? "";
  }
  if (!canAsk()) {
    throw new Error(`Cannot ask for the ${question}as there is no terminal: set SSH_ASKPASS`);
  }
  // Keeps Ctrl-C as a signal; line editing is ours.
  Deno.stdin.setRaw(true, { cbreak: true });
  try {
    const answer = await terminalAsker(signal, true).ask(question);
    await writeAll(Deno.stderr, new TextEncoder().encode("\n"));
    if (answer === null) throw new Error("Cannot go on as no password was typed");
    return edited(answer);
  } finally {
    Deno.stdin.setRaw(false);
  }
}

/** What is left of typed characters after backspace (DEL or BS) and Ctrl-U. */
export function edited(typed: string): string {
  let text = "";
  for (const char of typed.slice(typed.lastIndexOf("\x15") + 1)) {
    text = char === "\x7f" || char === "\b" ? [...text].slice(0, -1).join("") : text + char;
  }
  return text;
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
