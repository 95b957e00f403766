/**
 * How relais starts itself again, for the work that must run as another user or in another process.
 *
 * @module
 */

/**
 * The argument list that runs `relais <verb…>` with the program that is running now: the compiled
 * binary, or Deno with the source tree when started from source (`deno run src/main.ts`).
 *
 * From source, a user other than the one who filled Deno's cache must be able to read that cache
 * (`DENO_DIR`); the compiled binary carries all that it needs.
 */
export function selfCommand(verb: readonly string[]): string[] {
  if (Deno.build.standalone) return [Deno.execPath(), ...verb];
  const main = new URL("../main.ts", import.meta.url).pathname;
  return [Deno.execPath(), "run", "-A", main, ...verb];
}
