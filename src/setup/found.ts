/**
 * What `relais init` finds on this host: addresses, gateway, the product, an earlier high availability.
 *
 * @module
 */

import { z } from "zod";
import { kindOf, parseIp } from "../config/address.ts";
import { canonicalIp } from "../os/ip_bytes.ts";
import { readKernelFile } from "../os/kernel_file.ts";
import { runOk } from "../os/process.ts";
import { type InterfaceInfo, parseRoutes, readInterfaces } from "../vip/iproute.ts";
import { isOurLabel } from "../vip/mark.ts";

const ROUTES_DEADLINE_MS = 5000;

/** A network that this host is on. */
export interface FoundNetwork {
  readonly interface: string;
  /** Our own address, canonical. */
  readonly address: string;
  readonly prefix: number;
}

/** The host, as far as it matters for a first configuration. */
export interface Found {
  readonly hostName: string;
  /** One for each interface that carries an address: IPv4 where there is one. */
  readonly networks: readonly FoundNetwork[];
  /** Next hops of default routes. */
  readonly gateways: readonly string[];
  readonly product: "xivo" | "wazo" | "none";
  readonly asterisk: boolean;
  readonly postgresql: boolean;
  /** The product's own high availability; null: none is set up. */
  readonly ha: HaConf | null;
}

/** `ha.conf` of XiVO and Wazo. */
export interface HaConf {
  readonly role: "master" | "slave";
  /** The other host; null where the file says none. */
  readonly peer: string | null;
}

/** Interfaces of containers and virtual machines: no network that two hosts share. */
const INNER = /^(lo|docker|br-|veth|virbr|vnet|tap|tun|wg|cni|flannel|cali)/;

/**
 * Looks at this host.
 *
 * @param root prefix of the files that are looked at; tests have their own
 * @throws {ToolMissingError} without iproute2
 */
export async function findHost(root = ""): Promise<Found> {
  const product = (["xivo", "wazo"] as const).find((name) =>
    exists(`${root}/usr/bin/${name}-service`) || exists(`${root}/usr/sbin/${name}-service`)
  );
  return {
    hostName: readKernelFile("/proc/sys/kernel/hostname").trim(),
    networks: foundNetworks(await readInterfaces()),
    gateways: [...await gateways("-4"), ...await gateways("-6")],
    product: product ?? "none",
    asterisk: exists(`${root}/usr/sbin/asterisk`),
    postgresql: exists(`${root}/usr/lib/postgresql`),
    ha: parseHaConf(textOf(`${root}/etc/xivo/ha.conf`)),
  };
}

/** The networks of `interfaces` that two hosts may share. */
export function foundNetworks(interfaces: readonly InterfaceInfo[]): FoundNetwork[] {
  return interfaces.filter(({ name, up }) => up && !INNER.test(name)).flatMap((link) => {
    const own = link.addresses.filter(({ address, prefix, family, label, validS }) => {
      const ip = parseIp(address);
      // IPv6 addresses with a lifetime are temporary ones; ours have one in either family.
      return ip !== null && kindOf(ip) === "unicast" && !isOurLabel(label) &&
        prefix < (family === 4 ? 31 : 127) && (family === 4 || validS === null);
    });
    const best = own.find(({ family }) => family === 4) ?? own[0];
    return best === undefined
      ? []
      : [{ interface: link.name, address: best.address, prefix: best.prefix }];
  });
}

const haConfSchema = z.object({ node_type: z.string(), remote_address: z.string().optional() });

/** Reads the text of `ha.conf`; null: none, disabled, or not understood. */
export function parseHaConf(text: string | null): HaConf | null {
  let json: unknown;
  try {
    json = JSON.parse(text ?? "null");
  } catch {
    return null; // Only a suggestion is lost.
  }
  const parsed = haConfSchema.safeParse(json);
  if (!parsed.success) return null;
  const { node_type: role, remote_address: peer } = parsed.data;
  if (role !== "master" && role !== "slave") return null;
  return { role, peer: canonicalIp(peer ?? "") };
}

async function gateways(family: "-4" | "-6"): Promise<string[]> {
  const argv = ["ip", family, "-N", "-json", "route", "show", "default"];
  const { stdout } = await runOk(argv, { deadlineMs: ROUTES_DEADLINE_MS });
  if (stdout.trim() === "") return [];
  return parseRoutes(stdout, null).flatMap(({ via }) => via === null ? [] : [via]);
}

function textOf(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return null; // Only a suggestion is lost.
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
