/**
 * `relais version`.
 *
 * @module
 */

import { buildInfo } from "../build_info.ts";
import { EXIT } from "./exit_codes.ts";

const DENORT: Readonly<Record<ReturnType<typeof buildInfo>["denort"], string>> = {
  official: "official denort",
  fallback: "FALLBACK denort: built on a closed network, for tests, not for release",
  custom: "denort given by DENORT_BIN",
  source: "run from source, not compiled",
};

/** Prints what this program is. */
export function version({ json }: { readonly json: boolean }): number {
  const info = buildInfo();
  if (json) {
    console.log(JSON.stringify(info));
    return EXIT.ok;
  }
  const changed = info.dirty ? ", sources changed" : "";
  console.log(`relais ${info.label} (${info.arch})`);
  console.log(`commit ${info.commit} of ${info.commitDate}${changed}`);
  console.log(`Deno ${info.deno}, ${DENORT[info.denort]}`);
  return EXIT.ok;
}
