/**
 * Disks with a PBX and without relais: where stories of installation and removal begin.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { REPOSITORY } from "../support/shown_paths.ts";
import type { LaboratoryOptions } from "./laboratory.ts";
import { preparePbx } from "./provision.ts";

/** Two hosts with a PBX each, for {@linkcode story}; made anew when the recipe changed. */
export function prepared(): NonNullable<LaboratoryOptions["from"]> {
  const hash = createHash("sha256");
  for (const name of ["provision.ts", "telephony.ts"]) {
    hash.update(Deno.readFileSync(`${REPOSITORY}/tests/lab/${name}`));
  }
  return { name: `pbx-${hash.digest("hex").slice(0, 12)}`, make: preparePbx };
}
