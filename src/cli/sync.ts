/**
 * `relais sync [set]`.
 *
 * @module
 */

import type { DataSetName } from "../core/types.ts";
import type { ControlClient } from "./control_client.ts";
import { printResult } from "./report.ts";

/** Copies now and shows how far it is. */
export async function sync(
  client: ControlClient,
  set: DataSetName | "all",
  { json, allowMassDeletion }: { readonly json: boolean; readonly allowMassDeletion: boolean },
): Promise<number> {
  const onTerminal = Deno.stderr.isTerminal();
  let said = "";
  const result = await client.sync(
    set,
    (progress) => {
      if (json) {
        console.log(JSON.stringify({ progress }));
        return;
      }
      const { phase, bytes, totalBytes } = progress;
      const share = totalBytes === null || totalBytes === 0
        ? megabytes(bytes)
        : `${megabytes(bytes)} of ${megabytes(totalBytes)}`;
      const line = onTerminal ? `${phase}: ${share}` : phase;
      if (line === said) return;
      said = line;
      Deno.stderr.writeSync(new TextEncoder().encode(onTerminal ? `\r\x1b[K${line}` : `${line}\n`));
    },
    undefined,
    { allowMassDeletion },
  );
  if (onTerminal && said !== "") Deno.stderr.writeSync(new TextEncoder().encode("\r\x1b[K"));
  return printResult(result, { json });
}

/** `12.3 MB`. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
