/**
 * Somebody at a terminal of a host: starts a command there, reads its questions, types the answers.
 *
 * @module
 */

import { HostProcess } from "../support/host_process.ts";
import { poll } from "../support/poll.ts";
import type { LabHost } from "./lab_host.ts";

/** A question on the terminal, and what is typed then. */
export type Answer = readonly [asks: RegExp, says: string];

/**
 * Runs a shell command on a pseudo-terminal of the host and answers its questions, in that order. Each
 * answer is typed when its question is there, not before (ssh throws away what is typed ahead).
 *
 * @returns what was on the screen
 * @throws {Error} when a question does not come within the deadline, or the exit status is not 0; with
 * the screen
 */
export async function atTerminal(
  host: LabHost,
  command: string,
  options: { readonly answers: readonly Answer[]; readonly deadlineMs: number },
): Promise<string> {
  const argv = ["exec", host.name, "script", "-qec", `cd /root && ${command}`, "/dev/null"];
  const process = HostProcess.start(host.tool.argv(argv), "piped");
  let screen = "";
  const reading = process.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
    new WritableStream({
      write: (text) => {
        screen += text;
      },
    }),
  );
  const keyboard = process.stdin.getWriter();
  try {
    let from = 0;
    for (const [asks, says] of options.answers) {
      from += await poll(() => {
        const found = asks.exec(screen.slice(from));
        if (found !== null) return found.index + found[0].length;
        if (!process.running) throw new Error(`Cannot answer ${asks} as it has ended: ${screen}`);
        return null;
      }, { deadlineMs: options.deadlineMs, what: `question ${asks}`, instead: () => screen });
      await keyboard.write(new TextEncoder().encode(`${says}\n`));
    }
    const { code } = await process.ended(options.deadlineMs);
    await reading;
    if (code !== 0) throw new Error(`"${command}" exits with ${code}: ${screen}`);
    return screen;
  } finally {
    process.killStarter();
    await keyboard.close().catch(() => {});
    await reading.catch(() => {});
  }
}
