/**
 * The lab's Ethernet: one network namespace with a bridge per network, which has no address and no way out
 * of the machine. A host's cables are veth pairs whose far ends are the bridges' ports.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { run, runOk } from "../../src/os/process.ts";
import { Holder } from "./holder.ts";

/** Upper bound of what all disks of a lab may hold together (tmpfs: memory). */
const DISK_MB = 4096;
const DEADLINE_MS = 10_000;

/** What an operator can do to one cable; `plug` makes it whole again. */
export type CableAction =
  /** Out of the socket: both ends lose the carrier. */
  | "pull"
  /** The switch drops every frame, the carrier stays. */
  | "mute"
  | "plug";

/** One cable: the port at the switch and the interface at the host. */
export interface Cable {
  readonly network: string;
  /** Name of the port in the switch's namespace, at most 15 bytes. */
  readonly port: string;
  /** Name of the interface inside the host. */
  readonly interfaceName: string;
  readonly mac: string;
}

interface PortState {
  readonly cable: Cable;
  action: CableAction;
  /** Sees the other isolated ports of its bridge no more (split). */
  isolated: boolean;
  /** The host's end exists. */
  connected: boolean;
}

/** The switch; its ports remember their state over a power cut of the host. */
export class Switch {
  readonly #holder: Holder;
  readonly #ports = new Map<string, PortState>();

  private constructor(holder: Holder) {
    this.#holder = holder;
  }

  /** Makes the namespace and one bridge per network. */
  static async start(networks: readonly string[]): Promise<Switch> {
    const init = fileURLToPath(new URL("./switch_init.sh", import.meta.url));
    const holder = await Holder.start({
      unshare: ["--mount", "--net", "--propagation", "private"],
      init: ["sh", init, String(DISK_MB)],
    });
    const ethernet = new Switch(holder);
    // No spanning tree and no forward delay: a plugged port forwards at once, as on a switch with
    // portfast. No snooping: every multicast reaches every port.
    await ethernet.ip(networks.flatMap((name) => [
      `link add ${name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      `link set ${name} addrgenmode none`,
      `link set ${name} up`,
    ]));
    return ethernet;
  }

  /** PID that holds the switch's network namespace and the mount namespace with the disks. */
  get pid(): number {
    return this.#holder.pid;
  }

  /** Runs `ip` commands, one per line, in the switch's namespace. */
  async ip(lines: readonly string[]): Promise<void> {
    const stdin = lines.map((line) => `${line}\n`).join("");
    await runOk(this.#enter(["ip", "-batch", "-"]), { stdin, deadlineMs: DEADLINE_MS });
  }

  /** Runs any command in the switch's network namespace (bridge, tcpdump, nft…); returns its output. */
  async exec(argv: readonly string[]): Promise<string> {
    return (await runOk(this.#enter(argv), { deadlineMs: DEADLINE_MS })).stdout;
  }

  /** Puts a cable between the switch and the network namespace of `hostPid`. */
  async connect(cable: Cable, hostPid: number): Promise<void> {
    const known = this.#ports.get(cable.port);
    const state = known ?? { cable, action: "plug", isolated: false, connected: true };
    state.connected = true;
    this.#ports.set(cable.port, state);
    await this.ip([
      `link add ${cable.port} type veth peer name ${cable.interfaceName} ` +
      `address ${cable.mac} netns ${hostPid}`,
      `link set ${cable.port} addrgenmode none`,
      ...portLines(state),
    ]);
  }

  /** Takes the carrier away from these ports in one go: nothing gets out any more (power cut). */
  async silence(ports: readonly string[]): Promise<void> {
    await this.ip(this.#connected(ports).map((port) => `link set ${port} down`));
  }

  /** Removes the cables of a host that is off; their state (pulled, isolated) is kept. */
  async disconnect(ports: readonly string[]): Promise<void> {
    const there = this.#connected(ports);
    for (const port of there) this.#state(port).connected = false;
    // The kernel may have taken some away already, with the host's namespace: not an error.
    const lines = there.map((port) => `link del ${port}\n`).join("");
    await run(this.#enter(["ip", "-force", "-batch", "-"]), {
      stdin: lines,
      deadlineMs: DEADLINE_MS,
    });
    const left = await this.exec(["ip", "-json", "link"]);
    const still = there.filter((port) => left.includes(`"${port}"`));
    if (still.length > 0) throw new Error(`Cannot remove ports as they are still there: ${still}`);
  }

  /** Pulls, mutes or plugs ports in one go; holds over a power cut of their host. */
  async cable(ports: readonly string[], action: CableAction): Promise<void> {
    for (const port of ports) this.#state(port).action = action;
    const states = this.#connected(ports).map((port) => this.#state(port));
    await this.ip(states.flatMap(portLines));
  }

  /** Ports that are isolated see each other no more; everybody else sees them as before. */
  async isolate(ports: readonly string[], isolated: boolean): Promise<void> {
    for (const port of ports) {
      const state = this.#state(port);
      state.isolated = isolated;
      if (state.connected) await this.ip(portLines(state));
    }
  }

  /** Ends the namespaces; every port and bridge goes with them. */
  async close(): Promise<void> {
    await this.#holder.end();
  }

  #enter(argv: readonly string[]): string[] {
    return ["nsenter", `--net=/proc/${this.pid}/ns/net`, ...argv];
  }

  #connected(ports: readonly string[]): string[] {
    return ports.filter((port) => this.#ports.get(port)?.connected === true);
  }

  #state(port: string): PortState {
    const state = this.#ports.get(port);
    if (state === undefined) {
      const known = [...this.#ports.keys()].join(", ");
      throw new Error(`Cannot find switch port "${port}" as there are only: ${known}`);
    }
    return state;
  }
}

/** The `ip` commands that bring a port into the state that it shall have. */
function portLines({ cable, action, isolated }: PortState): string[] {
  const { port, network } = cable;
  // Muted: taken out of the bridge; frames then end in a namespace that has no address. (A blocked
  // bridge port would be undone by the next carrier change.)
  const membership = action === "mute"
    ? [`link set ${port} nomaster`]
    : [`link set ${port} master ${network}`, isolation(port, isolated)];
  return [...membership, `link set ${port} ${action === "pull" ? "down" : "up"}`];
}

function isolation(port: string, isolated: boolean): string {
  return `link set ${port} type bridge_slave isolated ${isolated ? "on" : "off"}`;
}
