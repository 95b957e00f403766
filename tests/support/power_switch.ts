/**
 * A power switch that fence agents reach: it cuts the power of the lab's hosts, or fails, or never answers,
 * as a test wants it. The agent is a program of its own in the hosts, which speaks the interface of Debian's
 * `fence-agents`; between the two is a Unix socket, so that no fault of the lab's networks is in the way.
 *
 * @module
 */

import type { TestHost } from "./host.ts";

/** Where the agent is in the hosts. */
export const AGENT = "/usr/local/sbin/fence_lab";
/** Where its secrets are. */
export const AGENT_SECRETS = "/etc/relais/fence-lab.conf";
/** In them. */
export const PASSWORD = "s3cret-of-the-switch";
const SOCKET = "/run/power_switch.sock";

/** How the switch behaves. `slow`: it works after a pause, and not at all for who hangs up meanwhile. */
export type SwitchMode = "works" | "slow" | "fails" | "hangs" | "lies";

/** How long a slow switch takes. */
export const SLOW_MS = 4000;

/** The agent's text: perl, of which Debian's essential packages have what is needed. */
export const AGENT_TEXT = `#!/usr/bin/perl
use strict; use warnings; use IO::Socket::UNIX;
my %in;
while (<STDIN>) { chomp; $in{$1} = $2 if /^([^=#]+)=(.*)$/ }
my $action = $in{action} // 'reboot';
if ($action eq 'metadata') {
  print qq{<?xml version="1.0" ?>\\n<resource-agent name="fence_lab"><parameters>\\n};
  print qq{<parameter name="$_" unique="0"><shortdesc lang="en">x</shortdesc></parameter>\\n}
    for qw(action plug password socket delay);
  print qq{</parameters><actions>\\n};
  print qq{<action name="$_" automatic="0"/>\\n} for qw(on off reboot status monitor metadata);
  print qq{</actions></resource-agent>\\n};
  exit 0;
}
if (($in{password} // '') ne '${PASSWORD}') {
  print STDERR "Unable to log in with the password $in{password}\\n";
  exit 1;
}
my $socket = IO::Socket::UNIX->new(Peer => '${SOCKET}');
if (!$socket) { print STDERR "Unable to connect to the switch\\n"; exit 1 }
print $socket "$action $in{plug}\\n";
my $answer = <$socket> // '1 the switch hung up';
my ($code, $text) = $answer =~ /^(\\d+) (.*)$/;
print STDERR "$text\\n";
exit $code;
`;

/** See the module. */
export class PowerSwitch {
  mode: SwitchMode = "works";
  /** Everything that was asked for, in order: `off master`. */
  readonly asked: string[] = [];
  readonly #hosts: ReadonlyMap<string, TestHost>;
  readonly #listeners: Deno.Listener[] = [];
  readonly #connections = new Set<Deno.Conn>();

  /** `hosts`: what hangs at it, by the name of the plug. */
  constructor(hosts: readonly TestHost[]) {
    this.#hosts = new Map(hosts.map((host) => [host.name, host]));
  }

  /** Files that the agent needs in a host: the cluster installs them. */
  static get files(): Readonly<Record<string, string>> {
    return { [AGENT]: AGENT_TEXT };
  }

  /** Lines of `[fencing]` for this switch. */
  static config(options: readonly string[]): string[] {
    return [
      "[fencing]",
      ...options,
      ...["master", "slave"].flatMap((plug) => [
        `[fencing.${plug}]`,
        `agent = "${AGENT}"`,
        `parameters = { plug = "${plug}" }`,
        `parameters_file = "${AGENT_SECRETS}"`,
      ]),
    ];
  }

  /** Lets the agents of all hosts that are on reach it; to be repeated after a boot. */
  async plugIn(): Promise<void> {
    for (const host of this.#hosts.values()) {
      if (!host.on) continue;
      await host.writeFile(AGENT_SECRETS, `# for fence_lab\npassword=${PASSWORD}\n`, 0o600);
      if (host.exists(SOCKET)) continue;
      const listener = Deno.listen({ transport: "unix", path: host.root + SOCKET });
      this.#listeners.push(listener);
      void this.#serve(listener);
    }
  }

  /** What was asked for and changes something. */
  get uses(): readonly string[] {
    return this.asked.filter((text) => /^(off|on|reboot) /.test(text));
  }

  /** Nobody can reach it any more. */
  close(): void {
    for (const listener of this.#listeners) listener.close();
    for (const connection of this.#connections) connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #serve(listener: Deno.Listener): Promise<void> {
    try {
      for await (const connection of listener) {
        this.#connections.add(connection);
        void this.#answer(connection).catch(() => {}).finally(() => {
          if (this.#connections.delete(connection)) connection.close();
        });
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error; // closed
    }
  }

  async #answer(connection: Deno.Conn): Promise<void> {
    const bytes = new Uint8Array(200);
    const count = await connection.read(bytes) ?? 0;
    const [action = "", plug = ""] = new TextDecoder().decode(bytes.subarray(0, count)).trim()
      .split(" ");
    this.asked.push(`${action} ${plug}`);
    const say = async (code: number, text: string): Promise<void> => {
      await connection.write(new TextEncoder().encode(`${code} ${text}\n`));
    };
    const host = this.#hosts.get(plug);
    if (host === undefined) return await say(1, `there is no plug ${plug}`);
    if (this.mode === "hangs") return void await connection.read(bytes); // until it hangs up
    if (this.mode === "fails") return await say(1, "the switch is out of order");
    if (action === "monitor") return await say(0, "ready");
    if (action === "status") return await say(host.on ? 0 : 2, host.on ? "on" : "off");
    if (this.mode === "lies") return await say(0, "done, says the switch");
    if (this.mode === "slow" && await hangsUpWithin(connection, SLOW_MS)) return;
    if (action === "off" || action === "reboot") await host.crash();
    // To boot all that is on the host is the test's business: the power is on again.
    if (action === "on" || action === "reboot") await host.boot();
    await say(0, `Success: ${action}`);
  }
}

async function hangsUpWithin(connection: Deno.Conn, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), ms));
  const gone = connection.read(new Uint8Array(1)).then(() => true, () => true);
  try {
    return await Promise.race([gone, patience]);
  } finally {
    clearTimeout(timer);
  }
}
