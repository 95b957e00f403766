/**
 * The findings for a person at a terminal. Pure.
 *
 * @module
 */

import { GROUPS } from "./catalogue.ts";
import type { Examination } from "./examine.ts";
import type { Finding, Severity } from "./finding.ts";

const SIGNS: Readonly<Record<Severity, { readonly sign: string; readonly colour: number }>> = {
  ok: { sign: "ok", colour: 32 },
  note: { sign: "note", colour: 36 },
  warning: { sign: "warning", colour: 33 },
  failure: { sign: "FAILURE", colour: 31 },
};
const INDENT = " ".repeat(10);

/** Findings by group, and a last line that sums up. */
export function formatExamination({ findings }: Examination, { colour, quiet }: {
  readonly colour: boolean;
  /** Only what is to be mended. */
  readonly quiet: boolean;
}): string {
  const paint = (code: number, text: string): string =>
    colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  const isBad = ({ severity }: Finding): boolean => severity !== "ok" && severity !== "note";
  const shown = quiet ? findings.filter(isBad) : findings;
  const lines = GROUPS.flatMap((group) => {
    const own = shown.filter((finding) => finding.group === group);
    if (own.length === 0) return [];
    return [
      paint(1, group),
      ...own.flatMap((finding) => {
        const { sign, colour: code } = SIGNS[finding.severity];
        const rest = isBad(finding)
          ? [
            `${INDENT}${paint(2, finding.why)}`,
            ...(finding.mend === null ? [] : [`${INDENT}→ ${finding.mend}`]),
          ]
          : [];
        return [
          `  ${paint(code, sign.padEnd(7))} ${paint(2, finding.id)}: ${finding.found}`,
          ...rest,
        ];
      }),
      "",
    ];
  });
  const count = (severity: Severity): number =>
    findings.filter((finding) => finding.severity === severity).length;
  const [failures, warnings] = [count("failure"), count("warning")];
  const sum = `${failures} failures, ${warnings} warnings, ${count("ok")} ok`;
  const code = failures > 0 ? SIGNS.failure.colour : warnings > 0 ? SIGNS.warning.colour : 32;
  // Quiet and healthy: nothing at all, as cron likes it.
  return quiet && shown.length === 0 ? "" : [...lines, paint(code, sum)].join("\n");
}
