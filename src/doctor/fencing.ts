/**
 * Checks of the device that would switch the other host off.
 *
 * @module
 */

import { agentFile, runAgent } from "../fencing/agent.ts";
import { powerOf } from "../fencing/fencer.ts";
import { parseMetadata, unknownParameters } from "../fencing/metadata.ts";
import { readParameters } from "../fencing/parameters.ts";
import { messageOf } from "../os/errors.ts";
import { type Check, failure, good, type Said, unchecked, warning } from "./finding.ts";
import type { Patient } from "./patient.ts";

/** The doctor takes half a minute; a device that needs longer is slow at the moment of need, too. */
const DEVICE_MS = 12_000;

/** See the module. */
export function fencingChecks(patient: Patient): readonly Check[] {
  const whenFencing =
    (look: () => Promise<readonly Said[]>) => async (): Promise<readonly Said[]> =>
      patient.config.fencing === undefined ? [] : await look();
  return [
    { ids: ["fencing.agent"], look: whenFencing(() => Promise.resolve([lookAtAgent(patient)])) },
    { ids: ["fencing.parameters"], look: whenFencing(() => lookAtParameters(patient)) },
    { ids: ["fencing.device"], look: whenFencing(() => lookAtDevice(patient)) },
    {
      ids: ["fencing.witness"],
      look: whenFencing(() => Promise.resolve([lookAtWitness(patient)])),
    },
  ];
}

type Device = NonNullable<Patient["config"]["fencing"]>["master"];

function deviceOf({ config }: Patient): Device {
  const { fencing, role } = config;
  if (fencing === undefined) throw new TypeError("Cannot look at fencing as it is not configured");
  return fencing[role === "master" ? "slave" : "master"];
}

function lookAtAgent(patient: Patient): Said {
  try {
    return good("fencing.agent", `${agentFile(deviceOf(patient).agent)}, of root's`);
  } catch (error) {
    return failure("fencing.agent", messageOf(error));
  }
}

/** What the agent does not know it leaves out with a warning that nobody sees. */
async function lookAtParameters(patient: Patient): Promise<readonly Said[]> {
  const id = "fencing.parameters";
  const device = deviceOf(patient);
  let names: readonly string[];
  try {
    names = [...readParameters(device).values.keys()];
  } catch (error) {
    return [failure(id, messageOf(error))];
  }
  try {
    const { stdout } = await runAgent(device, "metadata", { deadlineMs: DEVICE_MS });
    const metadata = parseMetadata(stdout);
    if (metadata === null) return [unchecked(id, `${device.agent} says nothing of its parameters`)];
    const unknown = unknownParameters(names, metadata);
    return [
      unknown.length === 0
        ? good(id, `${device.agent} knows ${names.join(", ") || "that there are none"}`)
        : failure(id, `${device.agent} does not know ${unknown.join(", ")}`),
    ];
  } catch (error) {
    return [unchecked(id, messageOf(error))];
  }
}

async function lookAtDevice(patient: Patient): Promise<readonly Said[]> {
  const id = "fencing.device";
  const device = deviceOf(patient);
  try {
    const monitor = await runAgent(device, "monitor", { deadlineMs: DEVICE_MS });
    if (monitor.code !== 0) {
      return [failure(id, `${device.agent} exited with ${monitor.code}: ${monitor.said}`)];
    }
    const { code } = await runAgent(device, "status", { deadlineMs: DEVICE_MS });
    const power = powerOf(code);
    const status = await patient.status();
    if (power === "off" && status?.peer.verdict === "alive") {
      return [
        failure(id, "it says that the power is off, of a host that is heard: of another one"),
      ];
    }
    return [good(id, `${device.agent}: its device answers, the power is ${power}`)];
  } catch (error) {
    return [failure(id, messageOf(error))];
  }
}

function lookAtWitness({ config }: Patient): Said {
  const names = config.networks.filter(({ witnesses }) => witnesses.length > 0)
    .map(({ name }) => name);
  return names.length > 0
    ? good("fencing.witness", `witnesses on ${names.join(", ")}`)
    : warning("fencing.witness", "no network has a witness");
}
