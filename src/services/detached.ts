/**
 * Runs a command that may leave processes behind: its input and outputs are /dev/null, since those
 * processes inherit them. A pipe would make us wait for them, or kill them (SIGPIPE) when relais is
 * restarted; a file would grow without bound.
 *
 * @module
 */

import { killChild, spawnTool, ToolTimeoutError } from "../os/process.ts";

/**
 * Runs `argv` until the program itself ends, and returns its exit status.
 *
 * @throws {ToolMissingError} when the program does not exist
 * @throws {ToolTimeoutError} when it takes longer than `deadlineMs`: it was killed, not its children
 * @throws {DOMException} `AbortError` when `signal` aborts: the same
 */
export async function runDetached(
  argv: readonly string[],
  options: { readonly deadlineMs: number; readonly signal?: AbortSignal },
): Promise<number> {
  const [tool, ...args] = argv;
  if (tool === undefined) throw new TypeError("Cannot run an empty argument list");
  options.signal?.throwIfAborted();
  const child = spawnTool(tool, { args, stdin: "null", stdout: "null", stderr: "null" });
  let timedOut = false;
  const kill = (): void => killChild(child);
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, options.deadlineMs);
  options.signal?.addEventListener("abort", kill, { once: true });
  try {
    const status = await child.status;
    options.signal?.throwIfAborted();
    if (timedOut) throw new ToolTimeoutError(argv, options.deadlineMs);
    return status.code;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", kill);
  }
}
