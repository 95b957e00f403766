/**
 * What this program is: version, commit, how it was compiled. `make build` puts `dist/build_info.json`
 * into the binary; started from source there is none.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

/** Facts about the build, for `relais version`, the health page, results of measurements. */
export interface BuildInfo {
  /** From deno.json, the one place of the version: the same on both hosts means the same protocol. */
  readonly version: string;
  /** The version as people see it, with `+fallback`, `+custom` or `+source` when it is no release build. */
  readonly label: string;
  /** Full hash of the commit, `unknown` without git. */
  readonly commit: string;
  /** When that commit was made, RFC 3339 UTC, `unknown` without git. */
  readonly commitDate: string;
  /** The sources differed from that commit. */
  readonly dirty: boolean;
  /**
   * The runtime inside: `official` download, `fallback` (closed network: for tests, not for release),
   * `custom` (`DENORT_BIN`), or `source` (not compiled).
   */
  readonly denort: "official" | "fallback" | "custom" | "source";
  /** Debian's name of the architecture. */
  readonly arch: "amd64" | "arm64";
  /** Version of the runtime. */
  readonly deno: string;
}

/** What `packaging/toolchain/build.sh` writes. */
type Embedded = Pick<BuildInfo, "commit" | "commitDate" | "dirty" | "denort" | "arch">;

let known: BuildInfo | null = null;

/**
 * The facts about this program.
 *
 * @throws {Error} when a compiled binary lacks its build information (a broken build)
 */
export function buildInfo(): BuildInfo {
  return known ??= Deno.build.standalone ? compiled() : fromSource();
}

function compiled(): BuildInfo {
  const embedded = JSON.parse(
    Deno.readTextFileSync(new URL("../dist/build_info.json", import.meta.url)),
  ) as Embedded;
  const { commit, commitDate, dirty, denort, arch } = embedded;
  return Object.freeze({
    version: config.version,
    label: denort === "official" ? config.version : `${config.version}+${denort}`,
    commit,
    commitDate,
    dirty,
    denort,
    arch,
    deno: Deno.version.deno,
  });
}

function fromSource(): BuildInfo {
  return Object.freeze({
    version: config.version,
    label: `${config.version}+source`,
    commit: "unknown",
    commitDate: "unknown",
    dirty: true,
    denort: "source",
    arch: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
    deno: Deno.version.deno,
  });
}
