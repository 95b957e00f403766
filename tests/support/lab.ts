/**
 * The namespace test bed: two hosts, a gateway, an outside client and a watcher on a switch with one bridge
 * per network. All of it lives in namespaces that end with the test process, however it ends; nothing of
 * it touches the machine's own network, and no packet can leave.
 *
 * ```
 * network n = 0, 1, …      voip 10.20.0.0/24 fd20::/64, data 10.30.0.0/24 fd30::/64
 * master .11  slave .12  VIP .10 (nobody's at first)  client .50  watcher .51  stranger .66  gateway .254
 * ```
 *
 * @module
 */

import { type HostInterface, TestHost } from "./host.ts";
import { Switch } from "./switch.ts";

/** Last part of the addresses on every network. */
export const HOST_NUMBERS = {
  master: 11,
  slave: 12,
  client: 50,
  watcher: 51,
  stranger: 66,
  gateway: 254,
} as const;

/** The machines that a lab can have. */
export type HostName = keyof typeof HOST_NUMBERS;

/** What the VIP of each network ends with. */
export const VIP_NUMBER = 10;

/** What to build. */
export interface LabOptions {
  /** Names of the networks; default `voip` and `data`. At most 6 characters each. */
  readonly networks?: readonly string[];
  /** Also a third machine on every network, for address theft; default false. */
  readonly stranger?: boolean;
}

/** IPv4 address on network number `network` (0: voip). */
export function address4(network: number, number: number): string {
  return `10.${20 + 10 * network}.0.${number}`;
}

/** IPv6 address on network number `network`; the digits are those of the IPv4 address. */
export function address6(network: number, number: number): string {
  return `fd${20 + 10 * network}::${number}`;
}

/** A running lab. */
export class Lab {
  readonly networks: readonly string[];
  readonly ethernet: Switch;
  readonly hosts: ReadonlyMap<HostName, TestHost>;

  private constructor(
    networks: readonly string[],
    ethernet: Switch,
    hosts: ReadonlyMap<HostName, TestHost>,
  ) {
    this.networks = networks;
    this.ethernet = ethernet;
    this.hosts = hosts;
  }

  /**
   * Builds the switch and boots every machine.
   *
   * @throws {Deno.errors.PermissionDenied} when not root
   */
  static async create(options: LabOptions = {}): Promise<Lab> {
    if (Deno.uid() !== 0) {
      throw new Deno.errors.PermissionDenied(
        "Cannot make a lab as only root can make network namespaces: run it as root",
      );
    }
    const networks = options.networks ?? ["voip", "data"];
    const ethernet = await Switch.start(networks);
    const names = (Object.keys(HOST_NUMBERS) as HostName[])
      .filter((name) => name !== "stranger" || options.stranger === true);
    const hosts = new Map(names.map((name) => [name, makeHost(name, { networks, ethernet })]));
    const lab = new Lab(networks, ethernet, hosts);
    try {
      await Promise.all([...hosts.values()].map((host) => host.boot()));
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  get master(): TestHost {
    return this.host("master");
  }

  get slave(): TestHost {
    return this.host("slave");
  }

  /** The outside observer's machine: what it sees is what a phone sees. */
  get client(): TestHost {
    return this.host("client");
  }

  /** Asks by ARP who holds a VIP; apart from the client, whose neighbour table it must not refresh. */
  get watcher(): TestHost {
    return this.host("watcher");
  }

  /** Has the witness address of every network. */
  get gateway(): TestHost {
    return this.host("gateway");
  }

  get stranger(): TestHost {
    return this.host("stranger");
  }

  /** A machine by name; throws when the lab was made without it. */
  host(name: HostName): TestHost {
    const host = this.hosts.get(name);
    if (host === undefined) throw new Error(`Cannot find "${name}" as the lab was made without it`);
    return host;
  }

  /** IPv4 address of a machine. */
  address(name: HostName, network = 0): string {
    return address4(network, HOST_NUMBERS[name]);
  }

  /** IPv4 VIP of a network. */
  vip(network = 0): string {
    return address4(network, VIP_NUMBER);
  }

  /** MAC of a machine's interface on a network. */
  mac(name: HostName, network = 0): string {
    return macOf(network, HOST_NUMBERS[name]);
  }

  /** Master and slave see each other no more on these networks; everybody else sees both. */
  async split(networks: readonly string[] = this.networks): Promise<void> {
    await this.ethernet.isolate(this.#pairPorts(networks), true);
  }

  /** Undoes {@linkcode split}. */
  async join(networks: readonly string[] = this.networks): Promise<void> {
    await this.ethernet.isolate(this.#pairPorts(networks), false);
  }

  /** Ends every machine and the switch; harmless when repeated. */
  async close(): Promise<void> {
    for (const host of this.hosts.values()) await host.crash();
    await this.ethernet.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #pairPorts(networks: readonly string[]): string[] {
    return [this.master, this.slave].flatMap(({ interfaces }) =>
      interfaces.filter((each) => networks.includes(each.network)).map(({ port }) => port)
    );
  }
}

function macOf(network: number, number: number): string {
  // Decimal digits as they stand in the address: readable in a capture. 02 = locally administered.
  const low = String(number).padStart(4, "0");
  return `02:4c:${20 + 10 * network}:00:${low.slice(0, 2)}:${low.slice(2)}`;
}

function makeHost(
  name: HostName,
  { networks, ethernet }: { readonly networks: readonly string[]; readonly ethernet: Switch },
): TestHost {
  const number = HOST_NUMBERS[name];
  const interfaces: HostInterface[] = networks.map((network, index) => ({
    network,
    port: `${name}-${network}`.slice(0, 15),
    interfaceName: `eth${index}`,
    mac: macOf(index, number),
    addresses: [`${address4(index, number)}/24`, `${address6(index, number)}/64`],
  }));
  const options = { name, ethernet, interfaces };
  if (name === "gateway") return new TestHost(options);
  return new TestHost({ ...options, defaultVia: address4(0, HOST_NUMBERS.gateway) });
}
