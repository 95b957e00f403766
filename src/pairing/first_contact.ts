/**
 * How `relais pair` reaches the other host before there is any trust: as an administrator would, with ssh,
 * but to the one host key that was looked at before. Pure, but for {@linkcode scanHostKey}.
 *
 * @module
 */

import { run } from "../os/process.ts";
import { strictOptions } from "../replication/ssh_arguments.ts";
import { isPlainWord } from "./authorized_keys.ts";
import { hostPattern } from "./known_hosts.ts";
import { publicKeyOf } from "./public_key.ts";

const SCAN_DEADLINE_MS = 20_000;

/** What sudo over there writes to standard error when it wants the password of its user. */
export const SUDO_PROMPT = "relais:sudo:password:";

/** `[USER@]HOST` taken apart. */
export interface Peer {
  readonly user: string;
  /** Address or name. */
  readonly host: string;
}

/** Reads `[USER@]HOST`; null: it is not that. */
export function parsePeer(text: string): Peer | null {
  const match = /^(?:([a-z_][a-z0-9_-]{0,31})@)?([A-Za-z0-9][A-Za-z0-9.:-]{0,252})$/.exec(text);
  return match === null ? null : { user: match[1] ?? "root", host: match[2] ?? "" };
}

/**
 * The ed25519 key that sshd at `host` shows; anybody may show any key: it must be compared.
 *
 * @throws {Error} when there is no answer, or no such key
 */
export async function scanHostKey(host: string, port: number): Promise<string> {
  const argv = ["ssh-keyscan", "-t", "ed25519", "-T", "10", "-p", String(port), "--", host];
  const { stdout, stderr } = await run(argv, { deadlineMs: SCAN_DEADLINE_MS });
  for (const line of stdout.split("\n")) {
    if (line.startsWith("#")) continue;
    const key = publicKeyOf(line.split(" ").slice(1).join(" "));
    if (key !== null) return key;
  }
  const said = stderr.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  const why = said.at(-1) ?? "no sshd with an ed25519 key answers there";
  throw new Error(
    `Cannot reach ${host} port ${port} as ${why}: is the address right, and does sshd run there?`,
  );
}

/**
 * The argument list of ssh that runs `command` there. Keys of the administrator and passwords may be used,
 * his and the system's ssh configuration may not: it could send the session elsewhere.
 *
 * @throws {TypeError} when a word of the command could be read otherwise by the shell over there
 */
export function contactCommand({ peer, port, knownHosts, identity, command }: {
  readonly peer: Peer;
  readonly port: number;
  /** A file with the one key that is accepted. */
  readonly knownHosts: string;
  /** A private key of the administrator; null: the usual ones, the agent, a password. */
  readonly identity: string | null;
  readonly command: readonly string[];
}): string[] {
  const wrong = command.find((word) => !isPlainWord(word));
  if (wrong !== undefined) throw new TypeError(`Cannot run "${wrong}" on the other host`);
  const settings = [
    `UserKnownHostsFile=${knownHosts}`,
    "HostKeyAlgorithms=ssh-ed25519",
    "PreferredAuthentications=publickey,keyboard-interactive,password",
    "ConnectTimeout=15",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=4",
    "ControlMaster=no",
    "ControlPath=none",
  ];
  const become = peer.user === "root" ? [] : ["sudo", "-S", "-p", SUDO_PROMPT, "--"];
  return [
    "ssh",
    ...strictOptions({ port, user: peer.user, identity, settings }),
    ...["--", peer.host, [...become, ...command].join(" ")],
  ];
}

/** The known_hosts file for {@linkcode contactCommand}. */
export function contactKnownHosts(host: string, port: number, hostKey: string): string {
  return `${hostPattern(host, port)} ${hostKey}\n`;
}
