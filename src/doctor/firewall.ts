/**
 * Checks that this host's own packet filter lets in what relais and the phones need. The rules are read
 * and walked (`nft_rules.ts`, `iptables_rules.ts`); no packet is sent.
 *
 * @module
 */

import { readKernelFile } from "../os/kernel_file.ts";
import { ToolMissingError } from "../os/process.ts";
import type { CheckId } from "./catalogue.ts";
import { interfaceOf } from "./facts.ts";
import { type Check, failure, good, type Said, unchecked, warning } from "./finding.ts";
import { judgeIptables } from "./iptables_rules.ts";
import { isOfIptables, judgeNft, parseRuleset, type Ruleset } from "./nft_rules.ts";
import type { Judgement, Packet } from "./packet.ts";
import type { Patient } from "./patient.ts";

/** The shield is our own table; it is up only while services start or stop. */
const isOwnTable = (table: string): boolean => table === "relais" || table.startsWith("relais_");

interface Asked {
  readonly id: CheckId;
  readonly what: string;
  readonly packet: Packet;
}

/** See the module. */
export function firewallChecks(patient: Patient): readonly Check[] {
  const ids = [
    "firewall.health",
    "firewall.ping",
    "firewall.arp",
    "firewall.ssh",
    "firewall.sip",
  ] as const;
  return [{ ids, look: () => lookAtFirewall(patient) }];
}

async function lookAtFirewall(patient: Patient): Promise<readonly Said[]> {
  const { stdout, code, stderr } = await patient.tool(["nft", "-j", "list", "ruleset"]);
  if (code !== 0) throw new Error(`nft: ${stderr.trim() || `exit status ${code}`}`);
  const ruleset = parseRuleset(stdout);
  const listings = await readIptables(patient, ruleset);
  const packets = await packetsToAskFor(patient);
  return packets.map(({ id, what, packet }) => {
    const foreign = (family: string, table: string): boolean =>
      isOwnTable(table) || (listings[packet.family] !== undefined &&
        isOfIptables(ruleset, family, table));
    const listing = listings[packet.family] ?? [];
    const judged = [
      judgeNft(ruleset, packet, foreign),
      ...listing.map((text) => judgeIptables(text, packet)),
    ];
    return say(id, what, judged);
  });
}

function say(id: CheckId, what: string, judged: readonly Judgement[]): Said {
  const drop = judged.find(({ fate }) => fate === "drop");
  if (drop !== undefined) return failure(id, `${what} is dropped by: ${drop.by}`);
  const unknown = judged.find(({ fate }) => fate === "unknown");
  if (unknown !== undefined) {
    return { ...warning(id, `${what} may be dropped by: ${unknown.by}`), checked: false };
  }
  return good(id, `${what} is let in`);
}

/** What `iptables -S` says, per IP version; absent: there is no iptables to ask. */
async function readIptables(
  patient: Patient,
  ruleset: Ruleset,
): Promise<Partial<Record<Packet["family"], readonly string[]>>> {
  const listings: Partial<Record<Packet["family"], readonly string[]>> = {};
  for (const [family, tool] of [["ip", "iptables"], ["ip6", "ip6tables"]] as const) {
    const texts: string[] = [];
    // iptables itself makes its tables in nftables; asking it without need would make them.
    const tools = isOfIptables(ruleset, family, "filter")
      ? [`${tool}-nft`, `${tool}-legacy`]
      : [`${tool}-legacy`];
    for (const each of tools) {
      try {
        // The legacy one would load its kernel modules, too.
        if (each.endsWith("legacy") && !hasLegacyTables(family)) continue;
        const { code, stdout } = await patient.tool([each, "-S"]);
        if (code === 0) texts.push(stdout);
      } catch (error) {
        if (!(error instanceof ToolMissingError)) throw error;
      }
    }
    if (texts.length > 0) listings[family] = texts;
  }
  return listings;
}

function hasLegacyTables(family: "ip" | "ip6"): boolean {
  try {
    return readKernelFile(`/proc/net/${family}_tables_names`).split("\n").includes("filter");
  } catch {
    return false; // the module is not loaded
  }
}

async function packetsToAskFor(patient: Patient): Promise<readonly Asked[]> {
  const { config, peerRole, usesSsh } = patient;
  const interfaces = await patient.interfaces();
  return config.networks.flatMap((network): readonly Asked[] => {
    const found = interfaceOf(network, config.role, interfaces);
    if (found === undefined) return [];
    const base = {
      family: network.family === 4 ? "ip" : "ip6",
      iif: found.name,
      source: network[peerRole],
      destination: network[config.role],
    } as const;
    const tcp = (id: CheckId, port: number): Asked => ({
      id,
      what: `${network.name}: tcp port ${port} from the other host`,
      packet: { ...base, protocol: "tcp", port },
    });
    const ping: Asked = {
      id: "firewall.ping",
      what: `${network.name}: ping from the other host`,
      packet: { ...base, protocol: "icmp", port: null },
    };
    return [
      tcp("firewall.health", config.heartbeat.httpPort),
      ping,
      ...(usesSsh ? [tcp("firewall.ssh", config.replication.transport.port)] : []),
      ...vipPackets(patient, network, base),
    ];
  });
}

/** A phone in the VIP's own network: where else phones are, only the operator knows. */
function vipPackets(
  { config }: Patient,
  network: Patient["config"]["networks"][number],
  base: Pick<Packet, "iif" | "source" | "family">,
): readonly Asked[] {
  const { sip } = config.services.health;
  return network.vips.flatMap((vip): readonly Asked[] => [
    ...(network.family === 6 ? [] : [{
      id: "firewall.arp" as const,
      what: `${network.name}: ARP for ${vip}`,
      packet: { ...base, family: "arp" as const, destination: vip, protocol: null, port: null },
    }]),
    ...(sip === null ? [] : [{
      id: "firewall.sip" as const,
      what: `${network.name}: SIP (udp port ${sip.port}) to ${vip}`,
      packet: { ...base, destination: vip, protocol: "udp" as const, port: sip.port },
    }]),
  ]);
}

/** Tools of the packet filter. */
export function filterToolChecks(patient: Patient): readonly Check[] {
  const look = async (
    id: "tools.nft" | "tools.conntrack",
    argv: readonly string[],
    pkg: string,
  ): Promise<readonly Said[]> => {
    try {
      const { code, stderr } = await patient.tool(argv);
      if (code === 0) return [good(id, `${argv[0]} works`)];
      return [warning(id, `${argv[0]}: ${stderr.trim() || `exit status ${code}`}`)];
    } catch (error) {
      if (!(error instanceof ToolMissingError)) return [unchecked(id, String(error))];
      return [warning(id, `${argv[0]} is not installed`, `apt install ${pkg}`)];
    }
  };
  return [
    { ids: ["tools.nft"], look: () => look("tools.nft", ["nft", "list", "tables"], "nftables") },
    {
      ids: ["tools.conntrack"],
      look: () => look("tools.conntrack", ["conntrack", "-C"], "conntrack"),
    },
  ];
}
