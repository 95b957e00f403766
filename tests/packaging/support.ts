/**
 * What the tests of the package share.
 *
 * @module
 */

import { run, runOk } from "../../src/os/process.ts";

/** Reading 100 MB out of a package on a slow machine. */
const DEADLINE_MS = 120_000;

/**
 * The newest package in dist/ of this machine's architecture, relative to the project.
 *
 * @throws {Error} when there is none
 */
export async function findPackage(): Promise<string> {
  const { stdout } = await runOk(["dpkg", "--print-architecture"], { deadlineMs: DEADLINE_MS });
  const found = [...Deno.readDirSync("dist")].map(({ name }) => `dist/${name}`)
    .filter((name) => name.startsWith("dist/relais_") && name.endsWith(`_${stdout.trim()}.deb`))
    .sort((a, b) =>
      (Deno.statSync(b).mtime?.getTime() ?? 0) - (Deno.statSync(a).mtime?.getTime() ?? 0)
    );
  if (found[0] === undefined) throw new Error("Cannot find a package in dist: make deb");
  return found[0];
}

/** Runs a tool to its end, in the C locale, and returns its exit status and all that it said. */
export async function tool(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  return await run(argv, { deadlineMs: DEADLINE_MS, env: { LC_ALL: "C", ...env } });
}
