/**
 * What the status says of the arbiter. Pure.
 *
 * @module
 */

import type { RightReport } from "../arbiter/right_keeper.ts";
import type { ArbiterConfig } from "../config/types.ts";
import type { ArbiterEvidence, StateName } from "../core/types.ts";
import type { StatusDocument } from "../health/types.ts";

type ArbiterStatus = NonNullable<StatusDocument["arbiter"]>;

/** The section of the status document. */
export function arbiterStatus(
  { config, evidence, report, consentUntil, byConsent, now }: {
    readonly config: ArbiterConfig;
    readonly evidence: ArbiterEvidence;
    readonly report: RightReport;
    readonly consentUntil: number | null;
    readonly byConsent: boolean;
    readonly now: number;
  },
): ArbiterStatus {
  const until = (at: number | null): number | null =>
    at === null || at <= now ? null : Math.round(at - now);
  const { lastAnswerAt, lastError, answers, failures, holder } = report;
  return {
    endpoints: [...config.endpoints],
    key: config.rightKey,
    policy: config.policy,
    ttlMs: config.ttlMs,
    right: evidence.right,
    validForMs: until(evidence.validUntil),
    byConsent,
    consentForMs: until(consentUntil),
    promisedForMs: until(evidence.promisedUntil),
    reaches: evidence.reaches,
    lastAnswerAgoMs: lastAnswerAt === null ? null : Math.max(0, Math.round(now - lastAnswerAt)),
    lastError,
    answers,
    failures,
    holder,
  };
}

/** A node whose questions find no answer says so; null: all is well. */
export function arbiterAlert(arbiter: ArbiterStatus | null, state: StateName): string | null {
  if (arbiter === null || (arbiter.reaches && !arbiter.byConsent)) return null;
  const { lastError, lastAnswerAgoMs, policy, byConsent } = arbiter;
  if (lastError === null && lastAnswerAgoMs === null) return null;
  const seen = lastAnswerAgoMs === null
    ? "has never answered"
    : `answered last ${(lastAnswerAgoMs / 1000).toFixed(0)} s ago`;
  const then = state !== "active"
    ? "this node cannot take over meanwhile"
    : byConsent
    ? "this node serves on as its peer consents"
    : policy === "hold"
    ? "this node serves on as long as its lease lasts or its peer consents"
    : "this node lets go when its lease ends";
  return `The arbiter ${seen} (${lastError ?? "no error"}): ${then}`.slice(0, 2000);
}
