/**
 * The declared files of a standby against a sample of the source's; the comparison itself is pure.
 *
 * @module
 */

import type { SampledFile } from "./file_sums_protocol.ts";
import type { ProofFinding } from "./finding.ts";

/** Most files that a sentence names. */
const MAX_NAMED = 5;

/** The same file here; null: there is none. */
export type OwnFile = Pick<SampledFile, "size" | "mode" | "sha256"> | null;

/**
 * Compares each file of the sample with the one here.
 *
 * @param options.copiedWallMs when the source was read for the last good copy, on *its* clock, as the times
 * of its files are: what changed there since is not compared
 */
export function compareFiles(
  sample: readonly SampledFile[],
  own: readonly OwnFile[],
  { copiedWallMs }: { readonly copiedWallMs: number },
): readonly ProofFinding[] {
  const wrong: string[] = [];
  const since: string[] = [];
  let equal = 0;
  for (const [i, theirs] of sample.entries()) {
    const mine = own[i] ?? null;
    // Times of files are whole seconds here.
    if (theirs.sha256 === null || theirs.changedWallMs + 1000 > copiedWallMs) {
      since.push(theirs.path);
      continue;
    }
    if (mine === null) wrong.push(`${theirs.path} is missing here`);
    else if (mine.sha256 === null) wrong.push(`${theirs.path} cannot be read here`);
    else if (mine.sha256 !== theirs.sha256) wrong.push(`${theirs.path} has other contents`);
    else if (mine.mode !== theirs.mode) {
      wrong.push(`${theirs.path} is ${mine.mode} here and ${theirs.mode} there`);
    } else equal++;
  }
  const findings: ProofFinding[] = wrong.length > 0
    ? [{ set: "files", result: "different", text: named(wrong) }]
    : [{ set: "files", result: "equal", text: `${equal} files of the sample are the source's` }];
  if (since.length > 0) {
    const text = `not compared, as they changed on the source since the last copy: ${named(since)}`;
    findings.push({ set: "files", result: "skipped", text });
  }
  return findings;
}

function named(texts: readonly string[]): string {
  const more = texts.length > MAX_NAMED ? `; and ${texts.length - MAX_NAMED} more` : "";
  return texts.slice(0, MAX_NAMED).join("; ") + more;
}
