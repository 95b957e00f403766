/**
 * `relais doctor`: checks this host and, through ssh, the other one; changes nothing.
 *
 * @module
 */

import { buildInfo } from "../build_info.ts";
import { identifyRole, IdentityError, loadConfig, localConfig } from "../config/load.ts";
import type { LocalConfig } from "../config/types.ts";
import { allChecks } from "../doctor/checks.ts";
import { type Examination, examine, verdictOf } from "../doctor/examine.ts";
import { Patient, type PatientOptions } from "../doctor/patient.ts";
import { formatExamination } from "../doctor/text.ts";
import type { StatusDocument } from "../health/types.ts";
import { systemClock } from "../os/clock.ts";
import { writeAll } from "../os/write_all.ts";
import { Memory, readBoot } from "../runtime/memory.ts";
import { controlSocket, type Paths } from "../runtime/paths.ts";
import { ownAddresses } from "../runtime/preflight.ts";
import { checkConfig } from "./check_config.ts";
import { ControlClient, ControlError } from "./control_client.ts";
import { EXIT } from "./exit_codes.ts";

/** All checks of this host, within their time. */
export async function examineHost(
  options: Pick<PatientOptions, "config" | "paths" | "status">,
): Promise<Examination> {
  const stop = new AbortController();
  const patient = new Patient({
    ...options,
    version: buildInfo().label,
    clock: systemClock,
    signal: stop.signal,
  });
  return await examine(allChecks(patient), { clock: systemClock, stop });
}

/** Examines and prints; the exit status is for monitoring (docs/exit-codes.md). */
export async function doctor({ paths, json, quiet }: {
  readonly paths: Paths;
  readonly json: boolean;
  readonly quiet: boolean;
}): Promise<number> {
  const config = await readLocalConfig(paths, json);
  if (typeof config === "number") return config;
  const examination = await examineHost({
    config,
    paths,
    status: () => askStatus(new ControlClient(controlSocket(paths))),
  });
  const verdict = verdictOf(examination.findings);
  const colour = !json && Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
  const findings = quiet
    ? examination.findings.filter(({ severity }) => severity !== "ok" && severity !== "note")
    : examination.findings;
  const text = json
    ? JSON.stringify({ verdict, ...examination, findings }, null, 2)
    : formatExamination(examination, { colour, quiet });
  if (text !== "") await writeAll(Deno.stdout, new TextEncoder().encode(`${text}\n`));
  return verdict;
}

/** The configuration from this host's point of view; a number: it cannot be used, and that was told. */
export async function readLocalConfig(paths: Paths, json: boolean): Promise<LocalConfig | number> {
  const checked = await checkConfig({ path: paths.config, json });
  if (checked.exitCode !== EXIT.ok) return await tell(checked);
  const config = await loadConfig(paths.config);
  const own = await ownAddresses();
  try {
    return localConfig(config, identifyRole(config, own));
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    // An interface without its address is what the doctor is for: the role of the last run is believed.
    const onTrouble = (): void => {};
    const known = new Memory({ ...paths, boot: readBoot(systemClock), onTrouble }).load()?.role;
    const isNeither = !config.networks.some(({ master, slave }) =>
      own.includes(master) || own.includes(slave)
    );
    if (isNeither && known !== undefined) return localConfig(config, known);
    // In the words of relais check-config --host.
    return await tell(await checkConfig({ path: paths.config, json, ownAddresses: own }));
  }
}

async function tell(
  result: { readonly exitCode: number; readonly stdout: string; readonly stderr: string },
): Promise<number> {
  await writeAll(Deno.stdout, new TextEncoder().encode(result.stdout));
  await writeAll(Deno.stderr, new TextEncoder().encode(result.stderr));
  return result.exitCode;
}

/** The daemon's status; null: it does not run. @throws {ControlError} when it runs and cannot be understood */
export async function askStatus(client: ControlClient): Promise<StatusDocument | null> {
  try {
    return await client.status();
  } catch (error) {
    if (error instanceof ControlError && error.kind === "not-running") return null;
    throw error;
  }
}
