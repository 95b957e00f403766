/**
 * When things happened on a host since its boot: by its journal and its systemd, on the monotonic clock
 * that both write.
 *
 * @module
 */

import type { LabHost } from "./lab_host.ts";

/** A step that relais took, from the fields of its journal entry. */
export interface JournalStep {
  /** Microseconds since the boot. */
  readonly atUs: number;
  readonly goal: string;
  readonly step: string;
  /** What was done, in words; often empty. */
  readonly result: string;
}

/** A change of state that relais decided, from the fields of its journal entry. */
export interface JournalDecision {
  /** Microseconds since the boot. */
  readonly atUs: number;
  readonly rule: string;
  readonly to: string;
}

/** Steps of relais in the current boot, oldest first; failed ones, too. */
export async function journalSteps(host: LabHost): Promise<readonly JournalStep[]> {
  return (await journalEvents(host, "step")).map((fields) => ({
    atUs: Number(fields["__MONOTONIC_TIMESTAMP"]),
    goal: fields["RELAIS_GOAL"] ?? "",
    step: fields["RELAIS_STEP"] ?? "",
    result: fields["RELAIS_RESULT"] ?? fields["RELAIS_ERROR"] ?? "",
  }));
}

/** Decisions of relais in the current boot, oldest first. */
export async function journalDecisions(host: LabHost): Promise<readonly JournalDecision[]> {
  return (await journalEvents(host, "decision")).map((fields) => ({
    atUs: Number(fields["__MONOTONIC_TIMESTAMP"]),
    rule: fields["RELAIS_RULE"] ?? "",
    to: fields["RELAIS_TO"] ?? "",
  }));
}

async function journalEvents(
  host: LabHost,
  event: string,
): Promise<readonly Readonly<Record<string, string | undefined>>[]> {
  const text = await host.journal(["-b", "-o", "json", `RELAIS_EVENT=${event}`]);
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** When systemd ran a unit's main process, in microseconds since the boot; the last start counts. */
export async function startedAtUs(host: LabHost, unit: string): Promise<number> {
  const show = ["systemctl", "show", "--value", "-p", "ExecMainStartTimestampMonotonic", unit];
  return Number(await host.read(show));
}

/** How many times systemd began to start a unit in the current boot; skipped starts do not count. */
export async function startsOf(host: LabHost, unit: string): Promise<number> {
  // The message id of "Starting UNIT", sd-messages.h: SD_MESSAGE_UNIT_STARTING.
  const starting = "MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5";
  const text = await host.journal(["-b", "-o", "cat", starting, `UNIT=${unit}`]);
  return text.split("\n").filter((line) => line !== "").length;
}

/** What systemd said about a unit in the current boot. */
export async function saidOf(host: LabHost, unit: string): Promise<string> {
  return await host.journal(["-b", "-o", "cat", `UNIT=${unit}`]);
}
