/**
 * Network namespaces for tests of raw sockets: each is held by a `cat` that ends when its standard input
 * closes, so that all of them vanish with the test, also when it is killed. Sockets are made in a
 * namespace by moving this thread there for the time of one synchronous function (setns(2)): a socket
 * belongs for good to the namespace that it was made in.
 *
 * @module
 */

import { run, runOk } from "../../src/os/process.ts";
import { poll } from "./poll.ts";

const COMMAND_DEADLINE_MS = 10_000;
const CLONE_NEWNET = 0x40000000;
const O_RDONLY_CLOEXEC = 0x80000;

const SYMBOLS = {
  /** `int open(const char *path, int flags);` open(2) */
  open: { parameters: ["buffer", "i32"], result: "i32" },
  /** `int setns(int fd, int nstype);` setns(2) */
  setns: { parameters: ["i32", "i32"], result: "i32" },
  /** `int close(int fd);` close(2) */
  close: { parameters: ["i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Why tests with namespaces can't run here; null when they can. */
export function whyNoNamespaces(): string | null {
  return Deno.uid() === 0 ? null : "network namespaces need root";
}

// Opened with the module, as it stays open: inside a test it would count as a leak.
const { symbols } = Deno.dlopen("libc.so.6", SYMBOLS);

/** Calls `use` with this thread in the network namespace at `path`. */
function withThreadIn<T>(path: string, use: () => T): T {
  const { open, setns, close } = symbols;
  const cString = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`${text}\0`);
  // Opened before moving: afterwards the path means the other namespace.
  const home = open(cString("/proc/thread-self/ns/net"), O_RDONLY_CLOEXEC);
  const there = open(cString(path), O_RDONLY_CLOEXEC);
  try {
    if (home < 0 || there < 0) throw new Error(`Cannot open ${path} as it is not there`);
    if (setns(there, CLONE_NEWNET) !== 0) throw new Error(`Cannot enter ${path}: run as root`);
    return use();
  } finally {
    setns(home, CLONE_NEWNET);
    close(home);
    close(there);
  }
}

/** One network namespace. */
export class Netns {
  readonly #cat: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #stdout: ReadableStreamDefaultReader<Uint8Array>;

  private constructor(cat: Deno.ChildProcess) {
    this.#cat = cat;
    this.#stdin = cat.stdin.getWriter();
    this.#stdout = cat.stdout.getReader();
  }

  /** Makes a namespace with `lo` up and without IPv6 duplicate address detection. */
  static async open(): Promise<Netns> {
    const cat = new Deno.Command("unshare", {
      args: ["--net", "--", "cat"],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const netns = new Netns(cat);
    // `cat` answers only once `unshare` has become it, that is, once the namespace exists.
    await netns.#stdin.write(new Uint8Array([10]));
    const { done } = await netns.#stdout.read();
    if (done) throw new Error("Cannot make a network namespace as unshare ended: run as root");
    await netns.ip("link", "set", "lo", "up");
    await netns.sysctl("net.ipv6.conf.default.accept_dad", "0");
    await netns.sysctl("net.ipv6.conf.default.router_solicitations", "0");
    return netns;
  }

  /** Number of the process that holds the namespace: `ip link … netns PID`. */
  get pid(): number {
    return this.#cat.pid;
  }

  #enter(argv: readonly string[]): string[] {
    return ["nsenter", `--net=/proc/${this.pid}/ns/net`, "--", ...argv];
  }

  /** Runs a program in the namespace; its output, whatever its exit status is. */
  async run(...argv: string[]): Promise<string> {
    return (await run(this.#enter(argv), { deadlineMs: COMMAND_DEADLINE_MS })).stdout;
  }

  /** Runs `ip` in the namespace; fails when it fails. */
  async ip(...args: string[]): Promise<string> {
    return (await runOk(this.#enter(["ip", ...args]), { deadlineMs: COMMAND_DEADLINE_MS })).stdout;
  }

  /** Sets a kernel parameter of the namespace. */
  async sysctl(key: string, value: string): Promise<void> {
    await runOk(this.#enter(["sysctl", "-qw", `${key}=${value}`]), {
      deadlineMs: COMMAND_DEADLINE_MS,
    });
  }

  /** Calls `make` with this thread in the namespace: for making sockets. Synchronous only. */
  within<T>(make: () => T): T {
    return withThreadIn(`/proc/${this.pid}/ns/net`, make);
  }

  /** Ends the namespace with everything in it. */
  async close(): Promise<void> {
    await this.#stdin.close().catch(() => {});
    await this.#stdout.cancel();
    await this.#cat.status;
  }
}

/** A host on {@linkcode Lan}: a namespace with an interface `eth0`. */
export interface LanHost {
  readonly netns: Netns;
  readonly mac: string;
  readonly interfaceIndex: number;
}

/** A switch (bridge in its own namespace) and hosts on it; host n has `10.9.0.n/24` and `fd09::n/64`. */
export class Lan implements AsyncDisposable {
  private constructor(readonly wire: Netns, readonly hosts: readonly LanHost[]) {}

  /** Makes the switch and `count` hosts, all links up. */
  static async open(count: number): Promise<Lan> {
    const wire = await Netns.open();
    await wire.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0");
    await wire.ip("link", "set", "br0", "up");
    const hosts: LanHost[] = [];
    for (let n = 1; n <= count; n++) hosts.push(await addHost(wire, n));
    for (const netns of [wire, ...hosts.map((host) => host.netns)]) await untilUp(netns);
    return new Lan(wire, hosts);
  }

  /** Ends all namespaces. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { netns } of this.hosts) await netns.close();
    await this.wire.close();
  }
}

/**
 * Waits until the kernel has seen that the links of a namespace have a carrier: it looks later, up to a
 * second on a busy machine, and drops what is sent before.
 */
async function untilUp(netns: Netns): Promise<void> {
  await poll(async () => {
    const links = JSON.parse(await netns.ip("-json", "link", "show", "type", "veth"));
    return links.every((link: { operstate?: string }) => link.operstate === "UP");
  }, { deadlineMs: COMMAND_DEADLINE_MS, what: "all links up" });
}

async function addHost(wire: Netns, n: number): Promise<LanHost> {
  const netns = await Netns.open();
  const mac = `02:00:00:00:09:0${n}`;
  const port = `port${n}`;
  await wire.ip(
    ...`link add ${port} type veth peer name eth0 address ${mac} netns ${netns.pid}`.split(" "),
  );
  await wire.ip("link", "set", port, "master", "br0", "up");
  await netns.ip("link", "set", "eth0", "up");
  await netns.ip("address", "add", `10.9.0.${n}/24`, "dev", "eth0");
  await netns.ip("address", "add", `fd09::${n}/64`, "dev", "eth0", "nodad");
  const [link] = JSON.parse(await netns.ip("-json", "link", "show", "eth0"));
  return { netns, mac, interfaceIndex: link.ifindex };
}
