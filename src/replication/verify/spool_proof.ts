/**
 * Every copy that rests in the spool against its own digest, and each astdb by SQLite's own check. Reads
 * only: what is damaged stays for whoever wants to look at it.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import type { DataSetName } from "../../core/types.ts";
import { messageOf } from "../../os/errors.ts";
import { inspectAstdb } from "../receive_put.ts";
import { setHeaderSchema, setTrailerSchema } from "../set_header.ts";
import { Spool } from "../spool.ts";
import { digestOf } from "./file_digest.ts";
import type { ProofFinding } from "./finding.ts";

const sidecarSchema = z.object({ header: setHeaderSchema, trailer: setTrailerSchema });

/** Looks at every copy of `set` in the spool. */
export async function proveSpool(
  stateDir: string,
  set: DataSetName,
  signal: AbortSignal,
): Promise<readonly ProofFinding[]> {
  const { directory } = new Spool(stateDir, set);
  const findings: ProofFinding[] = [];
  let sound = 0;
  for (const name of await sidecars(directory)) {
    signal.throwIfAborted();
    const path = join(directory, name.slice(0, -".json".length));
    try {
      const fault = await findFault(path, set);
      if (fault === null) sound++;
      else findings.push({ set, result: "different", text: `the copy ${path} ${fault}` });
    } catch (cause) {
      // Replaced by a newer one while it was read.
      if (cause instanceof Deno.errors.NotFound && !await exists(`${path}.json`)) continue;
      const result = cause instanceof Deno.errors.NotFound ? "different" : "unchecked";
      findings.push({ set, result, text: `the copy ${path} cannot be read: ${messageOf(cause)}` });
    }
  }
  if (sound > 0) {
    const text = `${sound} copies in the spool have the digest that they were received with`;
    findings.push({ set, result: "equal", text });
  }
  return findings;
}

async function findFault(path: string, set: DataSetName): Promise<string | null> {
  const text = await Deno.readTextFile(`${path}.json`);
  let sidecar: z.infer<typeof sidecarSchema>;
  try {
    sidecar = sidecarSchema.parse(JSON.parse(text));
  } catch {
    return "has a damaged description beside it";
  }
  const { sha256, size } = await digestOf(path);
  if (size !== sidecar.trailer.size) return `has ${size} bytes instead of ${sidecar.trailer.size}`;
  if (sha256 !== sidecar.trailer.sha256) return "has another digest than when it was received";
  if (set !== "astdb") return null;
  return await inspectAstdb(path).then(() => null, messageOf);
}

async function sidecars(directory: string): Promise<readonly string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(directory)) {
      if (name.endsWith(".json")) names.push(name);
    }
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
  return names.sort();
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
