/**
 * Faults of cables, of the switch and of what others send.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { endAttack, startAttack } from "../support/hostile.ts";
import type { Lab } from "../support/lab.ts";
import type { RelaisHost } from "../support/relais_host.ts";
import { between, type Injection, type Scene, type Undo } from "./injection.ts";
import type { RealKind } from "./kinds.ts";

const HTTP_PORT = 8460;
const SSH_PORT = 22;
const BAD_PORT = 18_460;
const SERVER = fileURLToPath(new URL("./bad_http_main.ts", import.meta.url));

/** By kind; see `kinds.ts`. */
export const NETWORK_FAULTS = {
  "cable": ({ host }) => cable(host, "pull"),
  "mute": ({ host }) => cable(host, "mute"),
  "one-cable": async ({ world, host }) => {
    await host.host.cable("pull", [world.lab.networks[0]!]);
    return () => host.host.cable("plug");
  },
  "split": async ({ world }) => {
    await world.lab.split();
    return () => world.lab.join();
  },
  "one-way": (scene) => oneWay(scene, "drop"),
  "half-lost": (scene) => oneWay(scene, "numgen random mod 100 < 50 drop"),
  "witness": async ({ world }) => {
    await world.lab.gateway.crash();
    return () => world.lab.gateway.boot();
  },
  "no-arp-requests": ({ world }) => swallow(world.lab, "request"),
  "no-arp-replies": ({ world }) => swallow(world.lab, "reply"),
  "same-mac": async ({ world, host }) => {
    const { lab } = world;
    const mine = lab.mac("stranger");
    const set = (mac: string): Promise<unknown> =>
      lab.stranger.exec(["ip", "link", "set", "eth0", "address", mac]);
    await set(lab.mac(world.nameOf(host)));
    // What it sends teaches the switch that the host is where the stranger is.
    const talk = ["ping", "-q", "-i", "0.2", "-w", "60", lab.address("gateway")];
    const talking = lab.stranger.spawn(talk, { logFile: "/var/log/ping.log" });
    return async () => {
      await talking.end();
      await set(mine);
    };
  },
  "same-mac-pair": async ({ world, host }) => {
    const { lab } = world;
    const twin = world.other(host);
    const set = (mac: string): Promise<unknown> =>
      twin.host.exec(["ip", "link", "set", "eth0", "address", mac]);
    await set(lab.mac(world.nameOf(host)));
    return async () => void await set(lab.mac(world.nameOf(twin)));
  },
  "flood": ({ world, fault, host, note }) => {
    const { lab } = world;
    const perSecond = Math.round(between(fault.dice[0], 500, 4_000));
    const what = fault.dice[1] < 0.5 ? "echo" : "udp";
    note(`${perSecond} ${what} a second`);
    const address = lab.address(world.nameOf(host));
    const flooding = startAttack(lab.stranger, ["packets", address, `${perSecond}`, what]);
    return Promise.resolve(() => endAttack(flooding));
  },
  "http-garbage": (scene) => badHttp(scene, "garbage"),
  "http-silent": (scene) => badHttp(scene, "silent"),
  "half-open": async ({ host }) => {
    // The handshake passes, nothing after it does, in either direction: neither data nor a FIN.
    const dead = [HTTP_PORT, SSH_PORT].flatMap((port) => [
      `    tcp dport ${port} tcp flags & syn != syn drop`,
      `    tcp sport ${port} tcp flags & syn != syn drop`,
    ]);
    return await rules(host, [
      ...["  chain in {", "    type filter hook input priority -10", ...dead, "  }"],
      ...["  chain out {", "    type filter hook output priority -10", ...dead, "  }"],
    ]);
  },
} as const satisfies Partial<Readonly<Record<RealKind, Injection>>>;

async function cable(host: RelaisHost, action: "pull" | "mute"): Promise<Undo> {
  await host.host.cable(action);
  return () => host.host.cable("plug");
}

/** Rules of the switch for what passes between its ports. */
async function atTheSwitch(lab: Lab, lines: readonly string[]): Promise<Undo> {
  const text = [
    "table bridge faults {",
    "  chain forward {",
    "    type filter hook forward priority 0",
    ...lines.map((line) => `    ${line}`),
    "  }",
    "}",
  ];
  await lab.ethernet.exec(["sh", "-c", 'printf "%s\\n" "$@" | nft -f -', "sh", ...text]);
  return async () => void await lab.ethernet.exec(["nft", "delete", "table", "bridge", "faults"]);
}

/** From the host to everybody, or from everybody to it. */
function oneWay({ world, fault, host, note }: Scene, verdict: string): Promise<Undo> {
  const outwards = fault.dice[0] < 0.5;
  note(outwards ? "from it" : "to it");
  const ports = host.host.interfaces.map(({ port }) => `"${port}"`).join(", ");
  const match = `${outwards ? "iifname" : "oifname"} { ${ports} }`;
  return atTheSwitch(world.lab, [`${match} ${verdict}`]);
}

/** RFC 5227: an announcement has the VIP as sender and as target. */
function swallow(lab: Lab, operation: "request" | "reply"): Promise<Undo> {
  return atTheSwitch(
    lab,
    lab.networks.map((_, n) =>
      `arp operation ${operation} arp saddr ip ${lab.vip(n)} arp daddr ip ${lab.vip(n)} drop`
    ),
  );
}

/** Whoever asks the host's HTTP port is answered by another program. */
async function badHttp({ host }: Scene, manner: "garbage" | "silent"): Promise<Undo> {
  const deno = [Deno.execPath(), "run", "--quiet", "--no-check", "--allow-all", SERVER];
  const server = host.host.spawnPiped([...deno, `${BAD_PORT}`, manner]);
  const reader = server.stdout.getReader();
  await reader.read(); // it listens
  reader.releaseLock();
  const undo = await rules(host, [
    ...["  chain pre {", "    type nat hook prerouting priority -100"],
    ...[`    tcp dport ${HTTP_PORT} redirect to :${BAD_PORT}`, "  }"],
    // Connections that are open already go on without NAT: they end here.
    ...["  chain in {", "    type filter hook input priority -10"],
    ...[`    tcp dport ${HTTP_PORT} drop`, "  }"],
  ]);
  return async () => {
    await undo();
    await endAttack(server);
  };
}

/** Rules of the host's own kernel, in a table that is ours. */
async function rules(host: RelaisHost, lines: readonly string[]): Promise<Undo> {
  const stdin = ["table ip faults {", ...lines, "}", ""].join("\n");
  await host.host.exec(["nft", "-f", "-"], { stdin });
  return async () => void await host.host.exec(["nft", "delete", "table", "ip", "faults"]);
}
