/**
 * Remembers whose astdb lies in place (`<stateDir>/sets/astdb.live.json`): this host's own, since it
 * served in an epoch, or a copy of the peer's that was installed. The file's time alone can't tell.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import type { Role } from "../core/types.ts";
import type { AstdbStamp } from "./astdb_newer.ts";
import type { AstdbSnapshot } from "./astdb_read.ts";
import { writeFileAtomically } from "../os/durable_file.ts";

/** `installed`: null when this host's own services wrote the file in `epoch`. */
export interface AstdbOrigin {
  readonly epoch: number;
  readonly installed: {
    readonly origin: Role;
    readonly snapshotWallMs: number;
    /** Of the copy as the peer has it. */
    readonly sha256: string;
    /** Of the file in place if keys of this host's own were kept in it (`local_keys`). */
    readonly fileSha256?: string | undefined;
  } | null;
}

const originSchema: z.ZodType<AstdbOrigin> = z.object({
  epoch: z.number().int().min(0),
  installed: z.object({
    origin: z.enum(["master", "slave"]),
    snapshotWallMs: z.number(),
    sha256: z.string(),
    fileSha256: z.string().optional(),
  }).nullable(),
});

/** The record; null when there is none or it is damaged (then the file counts as ours, epoch 0). */
export function readAstdbOrigin(stateDir: string): AstdbOrigin | null {
  try {
    return originSchema.parse(JSON.parse(Deno.readTextFileSync(recordPath(stateDir))));
  } catch {
    return null; // Damaged: epoch 0 is the careful answer, it never beats a stamped copy.
  }
}

/** Writes the record, durably. */
export async function writeAstdbOrigin(stateDir: string, origin: AstdbOrigin): Promise<void> {
  await Deno.mkdir(join(stateDir, "sets"), { recursive: true, mode: 0o700 });
  await writeFileAtomically(recordPath(stateDir), JSON.stringify(origin) + "\n");
}

/** The stamp of the file in place, of which `snapshot` was taken. */
export function stampLive(
  me: Role,
  origin: AstdbOrigin | null,
  snapshot: Pick<AstdbSnapshot, "sha256" | "changedWallMs"> & { readonly bytes: Uint8Array },
): AstdbStamp {
  const { sha256 } = snapshot;
  const size = snapshot.bytes.length;
  const epoch = origin?.epoch ?? 0;
  const installed = origin?.installed ?? null;
  if (installed !== null && (installed.fileSha256 ?? installed.sha256) === sha256) {
    // Under the digest that the peer knows: its copy and ours differ in this host's own keys only.
    const { snapshotWallMs } = installed;
    return { epoch, origin: installed.origin, snapshotWallMs, sha256: installed.sha256, size };
  }
  return { epoch, origin: me, snapshotWallMs: snapshot.changedWallMs, sha256, size };
}

function recordPath(stateDir: string): string {
  return join(stateDir, "sets", "astdb.live.json");
}
