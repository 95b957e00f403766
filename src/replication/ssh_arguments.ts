/**
 * The argument lists of `ssh`. Pure. Nothing of the user's or the system's ssh configuration is read:
 * who is trusted is written in relais.toml and in the pinned known_hosts file alone.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import type { TransportConfig } from "../config/types.ts";

/**
 * Longest path of a control socket: sun_path has 108 bytes, and ssh appends 17 characters while it
 * makes the socket.
 */
const MAX_CONTROL_PATH_BYTES = 88;

/** How long an unused connection is kept, in seconds: longer than the hour between two copies. */
const CONTROL_PERSIST_S = 7200;

/** What holds for every ssh of ours: only the pinned key, nothing carried along, nothing interactive. */
const STRICT_SETTINGS: readonly string[] = [
  "StrictHostKeyChecking=yes",
  "GlobalKnownHostsFile=/dev/null",
  "UpdateHostKeys=no",
  "ClearAllForwardings=yes",
  "ForwardAgent=no",
  "ForwardX11=no",
  "PermitLocalCommand=no",
  "EscapeChar=none",
  "LogLevel=ERROR",
];

/** Options of {@linkcode sshOptions}. */
export interface SshOptionsInput {
  readonly transport: TransportConfig;
  /** Directory of the control sockets; only root may write there. */
  readonly runDir: string;
  /** IPv4 or IPv6 address of the peer. */
  readonly address: string;
}

/** Everything between `ssh` and the address. */
export function sshOptions({ transport, runDir, address }: SshOptionsInput): string[] {
  const settings = [
    "BatchMode=yes",
    `UserKnownHostsFile=${sshPath(transport.knownHostsFile)}`,
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "ConnectTimeout=3",
    // A peer that dies is noticed after 4 to 6 s, also in the middle of a copy.
    "ServerAliveInterval=2",
    "ServerAliveCountMax=2",
    ...controlSettings(runDir, address, transport),
  ];
  const { port, user, identityFile } = transport;
  return strictOptions({ port, user, identity: identityFile, settings });
}

/** Everything between `ssh` and the address, for any session: `settings` beside those that always hold. */
export function strictOptions({ port, user, identity, settings }: {
  readonly port: number;
  readonly user: string;
  /** File of a private key; null: as ssh finds one. */
  readonly identity: string | null;
  readonly settings: readonly string[];
}): string[] {
  return [
    ...["-F", "none", "-T", "-p", String(port), "-l", user],
    ...(identity === null ? [] : ["-i", identity]),
    ...[...STRICT_SETTINGS, ...settings].flatMap((setting) => ["-o", setting]),
  ];
}

/** The whole argument list that runs `verb` on the peer. */
export function sshCommand(input: SshOptionsInput & { readonly verb: string }): string[] {
  return ["ssh", ...sshOptions(input), "--", input.address, input.verb];
}

/** The argument list that ends the kept connection to `address`. */
export function sshExit(input: SshOptionsInput): string[] {
  return ["ssh", ...sshOptions(input), "-O", "exit", "--", input.address];
}

/** The value of rsync's `-e`: rsync splits it at spaces and honours single quotes. */
export function rsyncShell(input: SshOptionsInput): string {
  return ["ssh", ...sshOptions(input)].map(rsyncWord).join(" ");
}

function controlSettings(runDir: string, address: string, transport: TransportConfig): string[] {
  const { port, user } = transport;
  const name = createHash("sha256").update(`${user}@${address}:${port}`).digest("hex").slice(0, 12);
  const path = join(runDir, `ssh-${name}`);
  if (new TextEncoder().encode(path).length > MAX_CONTROL_PATH_BYTES) return ["ControlMaster=no"];
  return [
    "ControlMaster=auto",
    `ControlPath=${sshPath(path)}`,
    `ControlPersist=${CONTROL_PERSIST_S}`,
  ];
}

/** A path as an ssh option takes it: `%` begins a token and spaces end a word. */
function sshPath(path: string): string {
  const escaped = path.replaceAll("%", "%%");
  return /\s/.test(escaped) ? `"${escaped}"` : escaped;
}

function rsyncWord(word: string): string {
  return /[\s'"]/.test(word) ? `'${word.replaceAll("'", "''")}'` : word;
}
