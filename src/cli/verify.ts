/**
 * `relais verify`: proves the copies on this host; changes nothing but the record of the proof itself.
 *
 * @module
 */

import { DATA_SET_NAMES, type DataSetName } from "../core/types.ts";
import { systemClock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { writeAll } from "../os/write_all.ts";
import { PostgresDatabase } from "../replication/database.ts";
import { Transport } from "../replication/transport.ts";
import {
  overall,
  type ProofFinding,
  type ProofResult,
  summary,
} from "../replication/verify/finding.ts";
import { proveCopies } from "../replication/verify/prove.ts";
import { controlSocket, type Paths } from "../runtime/paths.ts";
import { writeVerification } from "../runtime/verification.ts";
import { ControlClient } from "./control_client.ts";
import { askStatus, readLocalConfig } from "./doctor.ts";
import { EXIT } from "./exit_codes.ts";

/** Longest time of a whole proof, in ms. */
const DEADLINE_MS = 60 * 60_000;

const EXIT_OF = { equal: EXIT.ok, different: EXIT.different, unchecked: EXIT.unchecked } as const;

/** Proves and prints; the exit status is for monitoring (docs/exit-codes.md). */
export async function verify({ paths, json, sets, signal }: {
  readonly paths: Paths;
  readonly json: boolean;
  /** Empty: all that are configured. */
  readonly sets: readonly DataSetName[];
  readonly signal: AbortSignal;
}): Promise<number> {
  const found = await readLocalConfig(paths, json);
  if (typeof found === "number") return found;
  const absent = sets.find((set) => found.replication[set] === null);
  if (absent !== undefined) {
    throw new Error(`Cannot prove the ${absent} as replication.${absent} is not configured`);
  }
  const whole = sets.length === 0;
  const wanted = whole ? DATA_SET_NAMES : sets;
  const others = DATA_SET_NAMES.filter((set) => !wanted.includes(set));
  const replication = { ...found.replication, ...Object.fromEntries(others.map((s) => [s, null])) };
  const config = { ...found, replication };
  const peer = config.role === "master" ? "slave" : "master";
  const beganMs = systemClock.nowMs();
  const status = await askStatus(new ControlClient(controlSocket(paths))).catch(() => null);
  const seed = [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const findings = await proveCopies({
    config,
    stateDir: paths.stateDir,
    clock: systemClock,
    database: replication.database === null ? null : new PostgresDatabase(replication.database),
    // Not closed at the end: the daemon may use the same connection.
    transport: new Transport({
      transport: replication.transport,
      runDir: paths.runDir,
      addresses: () => config.networks.map((network) => network[peer]),
      clock: systemClock,
    }),
    node: status === null ? null : { state: status.node.state, epoch: status.node.epoch },
    seed,
    signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
    onStep: (text) => Deno.stderr.writeSync(new TextEncoder().encode(json ? "" : `${text}\n`)),
  });
  const result = overall(findings);
  const text = summary(findings);
  const durationMs = systemClock.nowMs() - beganMs;
  // A proof of one set says nothing of the others.
  if (whole) {
    const record = { atWallMs: systemClock.wallMs(), durationMs, result, text };
    await writeVerification(paths.stateDir, record).catch((error) =>
      console.error(`The proof could not be remembered: ${messageOf(error)}`)
    );
  }
  const shown = json
    ? JSON.stringify({ result, text, durationMs: Math.round(durationMs), seed, findings }, null, 2)
    : formatProof(findings, result);
  await writeAll(Deno.stdout, new TextEncoder().encode(`${shown}\n`));
  return EXIT_OF[result];
}

const SIGNS: Readonly<Record<ProofResult, string>> = {
  equal: "ok",
  different: "DIFFERENT",
  unchecked: "UNCHECKED",
  skipped: "-",
};

/** One line for each finding, and a last one that sums up; pure. */
function formatProof(findings: readonly ProofFinding[], result: string): string {
  const lines = findings.map(({ set, result, text }) =>
    `${SIGNS[result].padEnd(10)} ${set}: ${text}`
  );
  return [...lines, result === "equal" ? "all copies are equal to their sources" : result].join(
    "\n",
  );
}
