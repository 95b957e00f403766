/**
 * `relais sync [set]`.
 *
 * @module
 */

import type { DataSetName } from "../core/types.ts";
import type { SyncProgress } from "../health/control_app.ts";
import type { ControlClient } from "./control_client.ts";
import { printResult } from "./report.ts";

/** Where nobody looks on: a line at most so often within one phase. */
const LINE_EVERY_MS = 5000;

/** Copies now and shows how far it is. */
export async function sync(
  client: ControlClient,
  set: DataSetName | "all",
  { json, allowMassDeletion }: { readonly json: boolean; readonly allowMassDeletion: boolean },
): Promise<number> {
  const onTerminal = Deno.stderr.isTerminal();
  let [said, phase, saidAt] = ["", "", 0];
  const result = await client.sync(
    set,
    (progress) => {
      if (json) {
        console.log(JSON.stringify({ progress }));
        return;
      }
      const line = progressText(progress);
      if (line === said) return;
      // Not a line each second in a log: at each new phase, and each few seconds.
      const now = performance.now();
      if (!onTerminal && progress.phase === phase && now - saidAt < LINE_EVERY_MS) return;
      [said, phase, saidAt] = [line, progress.phase, now];
      Deno.stderr.writeSync(new TextEncoder().encode(onTerminal ? `\r\x1b[K${line}` : `${line}\n`));
    },
    undefined,
    { allowMassDeletion },
  );
  if (onTerminal && said !== "") Deno.stderr.writeSync(new TextEncoder().encode("\r\x1b[K"));
  return printResult(result, { json });
}

/** `restore: 61.2 MB, 80 of 142 tables, 5.1 MB/s, about 12 s left`. */
export function progressText(progress: SyncProgress): string {
  const { phase, bytes, totalBytes, tablesDone, tablesTotal, bytesPerSecond, remainingMs } =
    progress;
  const parts = [
    totalBytes === null || totalBytes === 0
      ? megabytes(bytes)
      : `${megabytes(bytes)} of ${megabytes(totalBytes)}`,
  ];
  if (tablesDone !== undefined && tablesTotal !== undefined) {
    parts.push(`${tablesDone} of ${tablesTotal} tables`);
  }
  if (typeof bytesPerSecond === "number") parts.push(`${megabytes(bytesPerSecond)}/s`);
  if (typeof remainingMs === "number") {
    parts.push(`about ${Math.max(1, Math.round(remainingMs / 1000))} s left`);
  }
  // Counting, proving, swapping: no bytes to speak of.
  return bytes === 0 && parts.length === 1 ? phase : `${phase}: ${parts.join(", ")}`;
}

/** `12.3 MB`. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
