/**
 * Checks of keys and of the way of ssh, in both directions.
 *
 * @module
 */

import { readKeys } from "../heartbeat/key.ts";
import { messageOf } from "../os/errors.ts";
import { type Check, failure, good, type Said, unchecked, warning } from "./finding.ts";
import { type Patient, valueOf } from "./patient.ts";

/** See the module. */
export function trustChecks(patient: Patient): readonly Check[] {
  const whenCopying =
    (look: () => Promise<readonly Said[]>) => async (): Promise<readonly Said[]> =>
      patient.usesSsh ? await look() : [];
  return [
    { ids: ["trust.key"], look: () => Promise.resolve([lookAtKey(patient.paths.key)]) },
    { ids: ["trust.ssh_key"], look: whenCopying(() => lookAtSshKey(patient)) },
    { ids: ["trust.known_hosts"], look: whenCopying(() => lookAtKnownHosts(patient)) },
    { ids: ["trust.ssh"], look: whenCopying(() => lookAtWays(patient)) },
    { ids: ["trust.ssh_back"], look: whenCopying(() => lookAtWayBack(patient)) },
  ];
}

function lookAtKey(path: string): Said {
  try {
    const count = readKeys(path).length;
    return good("trust.key", `${path}: ${count === 1 ? "1 key" : `${count} keys`}, private`);
  } catch (error) {
    const mend = /chmod 600/.test(messageOf(error)) ? `chmod 600 ${path}` : undefined;
    return failure("trust.key", messageOf(error), mend);
  }
}

async function lookAtSshKey({ config }: Patient): Promise<readonly Said[]> {
  const id = "trust.ssh_key";
  const { identityFile } = config.replication.transport;
  const found = await Deno.stat(identityFile).catch((error: unknown) => messageOf(error));
  if (typeof found === "string") return [failure(id, `${identityFile}: ${found}`)];
  const mode = (found.mode ?? 0) & 0o777;
  if ((mode & 0o077) !== 0) {
    const text = `${identityFile} has mode ${mode.toString(8)}`;
    return [failure(id, text, `chmod 600 ${identityFile}`)];
  }
  return [good(id, `${identityFile}, private`)];
}

async function lookAtKnownHosts(patient: Patient): Promise<readonly Said[]> {
  const id = "trust.known_hosts";
  const { knownHostsFile, port } = patient.config.replication.transport;
  const missing: string[] = [];
  for (const network of patient.config.networks) {
    const address = network[patient.peerRole];
    const host = port === 22 ? address : `[${address}]:${port}`;
    const { code, stdout } = await patient.tool(["ssh-keygen", "-F", host, "-f", knownHostsFile]);
    if (code !== 0 || stdout.trim() === "") missing.push(host);
  }
  return [
    missing.length === 0
      ? good(id, `${knownHostsFile} pins every address of the other host`)
      : failure(id, `${knownHostsFile} has no key of ${missing.join(", ")}`),
  ];
}

async function lookAtWays(patient: Patient): Promise<readonly Said[]> {
  const id = "trust.ssh";
  const ways = await patient.ways();
  const open = ways.filter(({ error }) => error === null);
  const bad = ways.flatMap(({ address, error }) => {
    if (error === null) return [];
    // One way is enough to copy, but it is then the only one.
    const text = error.includes(address) ? error : `${address}: ${error}`;
    return [open.length > 0 ? warning(id, text) : failure(id, text)];
  });
  return [
    ...bad,
    ...open.map(({ address }) => good(id, `relais receive answers on ${address}`)),
  ];
}

async function lookAtWayBack(patient: Patient): Promise<readonly Said[]> {
  const id = "trust.ssh_back";
  const { facts } = await patient.peer();
  if (facts.back === null) return [unchecked(id, "the other host did not try")];
  if ("error" in facts.back) {
    return [failure(id, `from the other host: ${facts.back.error}`, "relais pair, on that host")];
  }
  return [good(id, `the other host reaches this one on ${valueOf(facts.back)}`)];
}
