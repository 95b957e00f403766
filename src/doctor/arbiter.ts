/**
 * Checks of the arbiter: whether each endpoint answers, and what its lease means for a takeover.
 *
 * @module
 */

import { Endpoints } from "../arbiter/endpoints.ts";
import { arbiterTakeoverMs } from "../config/arbiter_timing.ts";
import { type Check, failure, good, type Said, warning } from "./finding.ts";
import type { Patient } from "./patient.ts";

/** A takeover that takes so many times as long as without the arbiter is worth a word. */
const SLOWER_TIMES = 5;

/** See the module. */
export function arbiterChecks(patient: Patient): readonly Check[] {
  return [
    { ids: ["arbiter.endpoints"], look: () => lookAtEndpoints(patient) },
    { ids: ["arbiter.timing"], look: () => Promise.resolve(lookAtTiming(patient)) },
  ];
}

async function lookAtEndpoints({ config }: Patient): Promise<readonly Said[]> {
  const id = "arbiter.endpoints";
  const { arbiter } = config;
  if ((arbiter ?? null) === null) return [];
  const endpoints = new Endpoints(arbiter!, config);
  try {
    const said = await endpoints.each();
    const isLost = said.every(({ answers }) => !answers);
    return said.map(({ answers, text }, n) => {
      if (answers) return good(id, `${arbiter!.endpoints[n]}: ${text}`);
      // A majority of etcd's own members is what counts; one that is down is no outage yet.
      return isLost ? failure(id, text) : warning(id, text);
    });
  } finally {
    endpoints.close();
  }
}

function lookAtTiming({ config }: Patient): readonly Said[] {
  const id = "arbiter.timing";
  const { arbiter, heartbeat } = config;
  if ((arbiter ?? null) === null) return [];
  const without = heartbeat.deadAfterMs + heartbeat.intervalMs;
  const takeover = Math.max(without, arbiterTakeoverMs(arbiter!.ttlMs));
  const text = `after a sudden death the other host serves within ${takeover} ms (${without} ms ` +
    `without the arbiter): its lease lives ${arbiter!.ttlMs / 1000} s`;
  return [
    takeover > SLOWER_TIMES * without && takeover > 15_000 ? warning(id, text) : good(id, text),
  ];
}
