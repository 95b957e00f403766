/**
 * A newer version of relais, in an archive of its own, for `apt-get upgrade`.
 *
 * @module
 */

import { run, ToolFailedError } from "../../src/os/process.ts";
import { REPOSITORY } from "../support/shown_paths.ts";

/** A busy machine packs 100 MB in that time, in milliseconds. */
const PACK_DEADLINE_MS = 300_000;
/** What `deb.sh` and `repo.sh` read, beside the compiled program. */
const SOURCES = ["packaging", "docs", "README.md", "README.fr.md", "CHANGELOG.md"] as const;
/** The compiled program, and what its build says of it. */
const BUILT = ["relais", ".built-relais", ".denort-relais"] as const;

/**
 * Packs the program that is in `dist` a second time, under another version, in `folder` and not in `dist`:
 * the archive there stays as it is. Signed with the key of the archive in `dist`.
 *
 * @returns the folder of the archive, for `offerRelais`
 * @throws {ToolFailedError} with what the toolchain said
 */
export async function packNewerRelais(folder: string, version: string): Promise<string> {
  await Deno.mkdir(`${folder}/dist`, { recursive: true });
  for (const name of SOURCES) await call(["cp", "-r", `${REPOSITORY}/${name}`, `${folder}/`]);
  for (const name of BUILT) {
    await call(["cp", "-p", `${REPOSITORY}/dist/${name}`, `${folder}/dist/`]);
  }
  const environment = [
    `DEB_VERSION=${version}`,
    `RELAIS_REPO_KEY=${
      Deno.env.get("RELAIS_REPO_KEY") ?? `${REPOSITORY}/dist/repo-key/secret.asc`
    }`,
  ];
  for (const script of ["deb.sh", "repo.sh"]) {
    await call(["env", ...environment, `${folder}/packaging/toolchain/${script}`]);
  }
  return `${folder}/dist/repo`;
}

async function call(argv: readonly string[]): Promise<void> {
  const result = await run(argv, { deadlineMs: PACK_DEADLINE_MS });
  if (result.code !== 0) throw new ToolFailedError(argv, result);
}
