/**
 * Checks of the services' units: installed, gated, not started behind our back.
 *
 * @module
 */

import { type Check, failure, good, note, type Said, warning } from "./finding.ts";
import type { Patient } from "./patient.ts";
import { parseShow, type ShownUnit } from "./units_parse.ts";

/** The drop-in that keeps a unit from starting on a host that does not serve. */
const GATE = "50-relais-gate.conf";
const PROPERTIES = "Id,LoadState,UnitFileState,DropInPaths,ActiveState,WatchdogUSec";

/** See the module. */
export function serviceChecks(patient: Patient): readonly Check[] {
  const ids = ["services.installed", "services.gate", "services.boot"] as const;
  return [
    { ids, look: () => lookAtServices(patient) },
    { ids: ["daemon.unit", "daemon.watchdog"], look: () => lookAtOwnUnit(patient) },
  ];
}

async function show(patient: Patient, units: readonly string[]): Promise<readonly ShownUnit[]> {
  const { code, stdout, stderr } = await patient.tool(
    ["systemctl", "show", `--property=${PROPERTIES}`, "--", ...units],
  );
  if (code !== 0) throw new Error(`systemctl show: ${stderr.trim() || `exit status ${code}`}`);
  return parseShow(stdout, units);
}

async function lookAtServices(patient: Patient): Promise<readonly Said[]> {
  const { driver, units, unitsFromPreset } = patient.config.services;
  if (driver !== "systemd" || units.length === 0) return [];
  const shown = await show(patient, units);
  const present = shown.filter(({ loadState }) => loadState !== "not-found");
  return [
    ...judgeInstalled(shown, unitsFromPreset),
    ...(await Promise.all(present.map(judgeGate))).flat(),
  ];
}

function judgeInstalled(shown: readonly ShownUnit[], fromPreset: boolean): readonly Said[] {
  const id = "services.installed";
  const masked = shown.filter(({ loadState }) => loadState === "masked")
    .map(({ unit }) => failure(id, `${unit} is masked`, `systemctl unmask ${unit}`));
  const absent = shown.filter(({ loadState }) => loadState === "not-found");
  const names = absent.map(({ unit }) => unit).join(", ");
  if (absent.length === shown.length) return [failure(id, `none of ${names} is installed`)];
  if (absent.length > 0 && !fromPreset) return [...masked, failure(id, `not installed: ${names}`)];
  if (absent.length > 0) return [...masked, note(id, `not installed, so skipped: ${names}`)];
  return masked.length > 0 ? masked : [good(id, "every unit is installed")];
}

async function judgeGate({ unit, dropIns, unitFileState }: ShownUnit): Promise<readonly Said[]> {
  const path = `/etc/systemd/system/${unit}.d/${GATE}`;
  const exists = await Deno.stat(path).then(({ isFile }) => isFile, () => false);
  const loaded = dropIns.includes(path);
  const gate = !exists
    ? failure("services.gate", `${unit}: ${path} is missing`)
    : loaded
    ? good("services.gate", `${unit} is gated`)
    : failure("services.gate", `${unit}: systemd has not read ${path}`, "systemctl daemon-reload");
  const isEnabled = unitFileState.startsWith("enabled");
  const boot = !isEnabled
    ? good("services.boot", `${unit} is ${unitFileState || "not enabled"} at boot`)
    : loaded
    ? good("services.boot", `${unit} is enabled at boot, and the gate decides`)
    : failure(
      "services.boot",
      `${unit} is started at boot on either host`,
      `systemctl disable ${unit}, or put the gate in place: systemctl restart relais`,
    );
  return [gate, boot];
}

async function lookAtOwnUnit(patient: Patient): Promise<readonly Said[]> {
  if (!patient.hasSystemd) {
    const text = "systemd does not run here: nobody starts the daemon at boot or after a crash";
    return [note("daemon.unit", text)];
  }
  const [unit] = await show(patient, ["relais.service"]);
  if (unit === undefined) throw new Error("systemctl says nothing of relais.service");
  const { loadState, unitFileState, activeState, watchdog } = unit;
  if (loadState !== "loaded") {
    const mend = "install the package of relais";
    return [warning("daemon.unit", `relais.service is ${loadState}`, mend)];
  }
  if (activeState === "failed") {
    const mend =
      "journalctl -u relais -n 50; systemctl reset-failed relais; systemctl start relais";
    return [failure("daemon.unit", "relais.service has failed", mend)];
  }
  const enabled = unitFileState.startsWith("enabled");
  return [
    enabled
      ? good("daemon.unit", `relais.service is enabled and ${activeState}`)
      : failure("daemon.unit", `relais.service is ${unitFileState}: it does not start at boot`),
    watchdog
      ? good("daemon.watchdog", "systemd watches the daemon's loop")
      : warning("daemon.watchdog", "relais.service has no watchdog"),
  ];
}
