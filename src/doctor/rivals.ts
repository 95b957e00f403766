/**
 * Checks for other software for high availability, XiVO's own included.
 *
 * @module
 */

import { namesAddress, parseProcesses } from "./addresses_parse.ts";
import { readFolder, readText } from "./files.ts";
import { type Check, failure, good, type Said, warning } from "./finding.ts";
import type { Patient } from "./patient.ts";
import { haJobsOf, nodeTypeOf, RIVAL_UNITS, rivalsAmong } from "./rivals_parse.ts";
import { parseShow } from "./units_parse.ts";

const HA_FILES = ["/etc/xivo/ha.conf", "/etc/wazo/ha.conf", "/etc/wazo-sysconfd/ha.conf"];
const RIVAL_FILES = [
  "/etc/keepalived/keepalived.conf",
  "/etc/corosync/corosync.conf",
  "/etc/default/ucarp",
  "/etc/ha.d/haresources",
  "/etc/default/vip-manager.yml",
];

/** See the module. */
export function rivalChecks(patient: Patient): readonly Check[] {
  return [
    { ids: ["rivals.software"], look: () => lookAtSoftware(patient) },
    { ids: ["rivals.xivo"], look: lookAtXivo },
  ];
}

async function lookAtSoftware(patient: Patient): Promise<readonly Said[]> {
  const id = "rivals.software";
  const vips = patient.config.networks.flatMap((network) => network.vips);
  const running = rivalsAmong(parseProcesses(await patient.processes())).map((name) =>
    failure(id, `${name} runs here`, `systemctl disable --now ${name}`)
  );
  const files = (await Promise.all(RIVAL_FILES.map(async (path) => {
    const text = await readText(path) ?? "";
    return vips.filter((vip) => namesAddress(text, vip)).map((vip) =>
      failure(id, `${path} names the VIP ${vip}`, `remove ${vip} from ${path}`)
    );
  }))).flat();
  const enabled = (await enabledRivals(patient)).map((unit) =>
    warning(id, `${unit} is enabled at boot`, `systemctl disable --now ${unit}`)
  );
  const found = [...running, ...files, ...enabled];
  return found.length > 0 ? found : [good(id, "nothing else moves addresses here")];
}

async function enabledRivals(patient: Patient): Promise<readonly string[]> {
  if (!patient.hasSystemd) return [];
  const { stdout } = await patient.tool(
    ["systemctl", "show", "--property=LoadState,UnitFileState", "--", ...RIVAL_UNITS],
  );
  return parseShow(stdout, RIVAL_UNITS).filter(({ unitFileState }) =>
    unitFileState.startsWith("enabled")
  ).map(({ unit }) => unit);
}

async function lookAtXivo(): Promise<readonly Said[]> {
  const id = "rivals.xivo";
  const said: Said[] = [];
  let known = false;
  for (const path of HA_FILES) {
    const text = await readText(path);
    if (text === null) continue;
    known = true;
    const type = nodeTypeOf(text);
    const mend = `"node_type": "disabled" in ${path}`;
    if (type === null) said.push(warning(id, `${path} is not understood`, mend));
    else if (type !== "disabled") said.push(failure(id, `${path}: node_type is ${type}`, mend));
  }
  for (const path of ["/etc/crontab", ...await readFolder("/etc/cron.d")]) {
    const jobs = haJobsOf(await readText(path) ?? "");
    known ||= jobs.length > 0;
    said.push(
      ...jobs.map((job) => failure(id, `${path} runs: ${job}`, `remove that line from ${path}`)),
    );
  }
  if (said.length > 0) return said;
  return known ? [good(id, "XiVO's own HA is switched off")] : [];
}
