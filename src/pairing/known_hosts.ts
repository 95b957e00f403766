/**
 * The pinned host key of the peer: one line for each of its addresses in relais' own known_hosts file
 * (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). Lines about other hosts stay as they are. Pure.
 *
 * @module
 */

/** Whose lines. */
export interface Pinned {
  readonly addresses: readonly string[];
  readonly port: number;
}

/** How ssh looks an address up: `10.20.0.12`, or `[10.20.0.12]:2222` when the port is not 22. */
export function hostPattern(address: string, port: number): string {
  return port === 22 ? address : `[${address}]:${port}`;
}

/** The file with exactly `hostKey` for each of the addresses; unchanged when that is already so. */
export function withPins(text: string, { addresses, port, hostKey }: Pinned & {
  /** `ssh-ed25519 AAAA…`. */
  readonly hostKey: string;
}): string {
  const lines = addresses.map((address) => `${hostPattern(address, port)} ${hostKey}`);
  const patterns = addresses.map((address) => hostPattern(address, port));
  const found = text.split("\n").filter((line) => isAbout(line, patterns));
  if (found.length === lines.length && lines.every((line) => found.includes(line))) return text;
  const rest = withoutPins(text, { addresses, port });
  return `${rest}${rest === "" || rest.endsWith("\n") ? "" : "\n"}${lines.join("\n")}\n`;
}

/** The file without the lines about these addresses. */
export function withoutPins(text: string, { addresses, port }: Pinned): string {
  const patterns = addresses.map((address) => hostPattern(address, port));
  return text.split("\n").filter((line) => !isAbout(line, patterns)).join("\n");
}

/** The keys that are pinned for any of the addresses, without doubles. */
export function pinnedKeys(text: string, { addresses, port }: Pinned): readonly string[] {
  const patterns = addresses.map((address) => hostPattern(address, port));
  const lines = text.split("\n").filter((line) => isAbout(line, patterns));
  return [...new Set(lines.map((line) => line.trim().split(/\s+/).slice(1, 3).join(" ")))];
}

/** Relais writes one host a line; a line of a person may name several, or be hashed: then it stays. */
function isAbout(line: string, patterns: readonly string[]): boolean {
  const [hosts = ""] = line.trim().split(/\s+/);
  return hosts.split(",").some((host) => patterns.includes(host));
}
