/**
 * Checks of what may take an address from this host or keep it from answering: other managers of the
 * interfaces, kernel settings, and other holders of the VIPs.
 *
 * @module
 */

import { IcmpPinger } from "../heartbeat/icmp.ts";
import { messageOf } from "../os/errors.ts";
import { readKernelFile } from "../os/kernel_file.ts";
import { ToolMissingError } from "../os/process.ts";
import type { InterfaceInfo } from "../vip/iproute.ts";
import {
  dhcpClientsOn,
  isManaged,
  namesAddress,
  networkFileOf,
  parseInterfacesFile,
  parseNetworkctl,
  parseNmcli,
  parseProcesses,
} from "./addresses_parse.ts";
import { interfaceOf } from "./facts.ts";
import { readFolder, readText } from "./files.ts";
import { type Check, failure, good, note, type Said, warning } from "./finding.ts";
import { asBoolean, lastValue } from "./ini.ts";
import type { Patient } from "./patient.ts";
import { judgeArp, judgeReversePath } from "./sysctl.ts";

const INTERFACES_FILES = ["/etc/network/interfaces"];
const INTERFACES_FOLDERS = ["/etc/network/interfaces.d"];
const NETWORKD_FOLDERS = [
  "/etc/systemd/network",
  "/run/systemd/network",
  "/usr/lib/systemd/network",
];
const KEYFILE_FOLDERS = ["/etc/NetworkManager/system-connections", "/etc/netplan"];
const IFUP_DAEMONS = ["ifplugd", "netplugd", "ifupdown-ng"];

/** See the module. */
export function addressChecks(patient: Patient): readonly Check[] {
  const named = async (): Promise<readonly string[]> =>
    (await ownInterfaces(patient)).map(({ name }) => name);
  const hasVips = patient.config.networks.some(({ vips }) => vips.length > 0);
  const whenVips = (look: () => Promise<readonly Said[]>) => async (): Promise<readonly Said[]> =>
    hasVips ? await look() : [];
  return [
    { ids: ["addresses.holder"], look: whenVips(() => lookAtHolders(patient)) },
    { ids: ["addresses.configured"], look: whenVips(() => lookAtFiles(patient)) },
    {
      ids: ["addresses.networkd"],
      look: whenVips(async () => await lookAtNetworkd(patient, await named())),
    },
    {
      ids: ["addresses.networkmanager"],
      look: whenVips(async () => await lookAtNetworkManager(patient, await named())),
    },
    { ids: ["addresses.ifupdown"], look: whenVips(() => lookAtIfupdown(patient)) },
    { ids: ["addresses.dhcp"], look: async () => await lookAtDhcp(patient, await named()) },
    {
      ids: ["addresses.rp_filter"],
      look: async () =>
        judgeReversePath((await named()).map((name) => ({
          name,
          value: effective("rp_filter", name),
        }))),
    },
    { ids: ["addresses.arp"], look: whenVips(() => lookAtArp(patient)) },
  ];
}

async function ownInterfaces({ config, interfaces }: Patient): Promise<readonly InterfaceInfo[]> {
  const all = await interfaces();
  const found = config.networks.map((network) => interfaceOf(network, config.role, all));
  return [...new Set(found.filter((each) => each !== undefined))];
}

/** The kernel takes the greater of `all` and the interface's own (ip-sysctl). */
function effective(key: string, name: string): number {
  const read = (where: string): number =>
    Number(readKernelFile(`/proc/sys/net/ipv4/conf/${where}/${key}`).trim());
  return Math.max(read("all"), read(name));
}

async function lookAtHolders(patient: Patient): Promise<readonly Said[]> {
  const id = "addresses.holder";
  const status = await patient.status().catch(() => null);
  if (status !== null) {
    return status.vips.map(({ vip, holder, holderMac }) => {
      const mac = holderMac === null ? "" : ` (${holderMac})`;
      const text = `${vip} is held by ${holder}${mac}`;
      return holder === "stranger" ? failure(id, text) : good(id, text);
    });
  }
  return await askForHolders(patient);
}

/** Without the daemon the kernel asks: who answers for a VIP that this host has not? */
async function askForHolders(patient: Patient): Promise<readonly Said[]> {
  const id = "addresses.holder";
  const all = await patient.interfaces();
  const own = new Set(all.flatMap(({ addresses }) => addresses.map(({ address }) => address)));
  const said: Said[] = [];
  for (const network of patient.config.networks) {
    const device = interfaceOf(network, patient.config.role, all)?.name;
    if (device === undefined) continue;
    for (const vip of network.vips) {
      if (own.has(vip)) {
        said.push(note(id, `${vip} is held by this host, though no daemon runs`));
        continue;
      }
      const mac = await neighbour(patient, device, vip);
      const peer = await neighbour(patient, device, network[patient.peerRole]);
      const text = mac === null ? `${vip} is held by nobody` : `${vip} is held by ${mac}`;
      said.push(mac === null || mac === peer ? good(id, text) : failure(id, text));
    }
  }
  return said;
}

/** MAC that the kernel finds for an address, as when anything is sent there; null: nobody answers. */
async function neighbour(
  patient: Patient,
  device: string,
  address: string,
): Promise<string | null> {
  // A ping makes the kernel ask; whether it is answered does not matter.
  const pinger = new IcmpPinger({ poller: null, clock: patient.clock });
  try {
    pinger.ping(address, { onLink: true });
    await patient.clock.sleep(1500, patient.signal);
  } finally {
    pinger.close();
  }
  const argv = ["ip", "-json", "neigh", "show", "to", address, "dev", device];
  const { stdout } = await patient.tool(argv);
  const [entry] = JSON.parse(stdout || "[]") as { lladdr?: string; state?: string[] }[];
  return entry?.state?.includes("FAILED") === true ? null : entry?.lladdr ?? null;
}

async function lookAtFiles(patient: Patient): Promise<readonly Said[]> {
  const id = "addresses.configured";
  const folders = [...INTERFACES_FOLDERS, ...NETWORKD_FOLDERS, ...KEYFILE_FOLDERS];
  const paths = [...INTERFACES_FILES, ...(await Promise.all(folders.map(readFolder))).flat()];
  const vips = patient.config.networks.flatMap((network) => network.vips);
  const found: Said[] = [];
  for (const path of paths) {
    const text = await readText(path) ?? "";
    for (const vip of vips.filter((each) => namesAddress(text, each))) {
      found.push(failure(id, `${path} configures the VIP ${vip}`, `remove ${vip} from ${path}`));
    }
  }
  return found.length > 0 ? found : [good(id, "no file of the system configures a VIP")];
}

async function lookAtNetworkd(
  patient: Patient,
  names: readonly string[],
): Promise<readonly Said[]> {
  const id = "addresses.networkd";
  if (!patient.hasSystemd || !await isActive(patient, "systemd-networkd.service")) return [];
  const { stdout } = await patient.tool(["networkctl", "--no-pager", "--no-legend", "list"]);
  const states = parseNetworkctl(stdout);
  const argv = ["systemd-analyze", "cat-config", "systemd/networkd.conf"];
  const foreign = lastValue((await patient.tool(argv)).stdout, "Network", "ManageForeignRoutes");
  const keepsRoutes = foreign !== null && asBoolean(foreign) === false;
  const managed = names.filter((name) => (states.get(name) ?? "unmanaged") !== "unmanaged");
  const said: Said[] = [];
  for (const name of managed) {
    const status = await patient.tool(["networkctl", "--no-pager", "status", name]);
    const file = networkFileOf(status.stdout);
    const dropIns = file === null ? [] : await readFolder(`${file}.d`);
    const texts = await Promise.all([...(file === null ? [] : [file]), ...dropIns].map(readText));
    const keep = lastValue(texts.join("\n"), "Network", "KeepConfiguration");
    if (keep !== null && (keep === "static" || asBoolean(keep) === true)) continue;
    const where = file === null ? "" : `, in ${file}`;
    const mend = `[Network] KeepConfiguration=yes${where}; networkctl reload`;
    said.push(warning(id, `systemd-networkd manages ${name} without KeepConfiguration`, mend));
  }
  if (managed.length > 0 && !keepsRoutes) {
    const mend = "[Network] ManageForeignRoutes=no in /etc/systemd/networkd.conf.d/relais.conf; " +
      "systemctl restart systemd-networkd";
    said.push(warning(id, "systemd-networkd removes routes that it did not make", mend));
  }
  return said.length > 0 ? said : [good(id, "systemd-networkd leaves foreign addresses alone")];
}

async function lookAtNetworkManager(
  patient: Patient,
  names: readonly string[],
): Promise<readonly Said[]> {
  const id = "addresses.networkmanager";
  if (!patient.hasSystemd || !await isActive(patient, "NetworkManager.service")) return [];
  const { stdout } = await patient.tool(["nmcli", "-t", "-f", "DEVICE,STATE", "device"]);
  const states = parseNmcli(stdout);
  const managed = names.filter((name) => isManaged(states.get(name) ?? "unmanaged"));
  return managed.length === 0
    ? [good(id, "NetworkManager manages none of the interfaces")]
    : managed.map((name) =>
      warning(id, `NetworkManager manages ${name}`, `nmcli device set ${name} managed no`)
    );
}

async function lookAtIfupdown(patient: Patient): Promise<readonly Said[]> {
  const id = "addresses.ifupdown";
  const running = parseProcesses(await patient.processes())
    .filter(({ name }) => IFUP_DAEMONS.includes(name)).map(({ name }) => name);
  return running.length === 0
    ? [good(id, "nothing runs ifdown when the carrier is lost")]
    : [...new Set(running)].map((name) => {
      return warning(id, `${name} runs ifdown when the carrier is lost`, `apt purge ${name}`);
    });
}

async function lookAtDhcp(patient: Patient, names: readonly string[]): Promise<readonly Said[]> {
  const id = "addresses.dhcp";
  const processes = parseProcesses(await patient.processes());
  const folders = await Promise.all(INTERFACES_FOLDERS.map(readFolder));
  const texts = await Promise.all([...INTERFACES_FILES, ...folders.flat()].map(readText));
  const methods = parseInterfacesFile(texts.join("\n"));
  const found = names.flatMap((name) => [
    ...dhcpClientsOn(name, processes).map((each) => `${each.name} (pid ${each.pid}) on ${name}`),
    ...(methods.get(name)?.includes("dhcp") === true
      ? [`/etc/network/interfaces gives ${name} its address by DHCP`]
      : []),
  ]);
  return found.length === 0
    ? [good(id, "no DHCP client on the interfaces")]
    : found.map((text) => warning(id, text));
}

async function lookAtArp(patient: Patient): Promise<readonly Said[]> {
  const all = await patient.interfaces();
  return (await ownInterfaces(patient)).flatMap(({ name, addresses }) => {
    const network = patient.config.networks.find((each) =>
      each.family === 4 && interfaceOf(each, patient.config.role, all)?.name === name
    );
    if (network === undefined) return [];
    const shares = all.filter((other) =>
      other.name !== name &&
      other.addresses.some(({ address, prefix }) =>
        addresses.some((own) => own.family === 4 && isSameNetwork(own.address, address, prefix))
      )
    );
    const [ignore, announce, filter] = ["arp_ignore", "arp_announce", "arp_filter"]
      .map((key) => effective(key, name)) as [number, number, number];
    return judgeArp({
      name,
      ignore,
      announce,
      filter,
      sharesWith: shares.map((each) => each.name),
    });
  });
}

function isSameNetwork(a: string, b: string, prefix: number): boolean {
  const bits = (text: string): number =>
    text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  if (!a.includes(".") || !b.includes(".")) return false;
  const size = 2 ** (32 - prefix);
  return Math.floor(bits(a) / size) === Math.floor(bits(b) / size);
}

async function isActive(patient: Patient, unit: string): Promise<boolean> {
  try {
    return (await patient.tool(["systemctl", "is-active", "--quiet", unit])).code === 0;
  } catch (error) {
    if (error instanceof ToolMissingError) return false;
    throw new Error(messageOf(error), { cause: error });
  }
}
