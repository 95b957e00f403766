/**
 * The one line of relais in root's authorized_keys (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"): what the
 * peer's key may run here. All other lines stay as they are, byte by byte. Pure.
 *
 * @module
 */

/** The comment by which the line is found again. */
const PEER_COMMENT = "relais-peer";

/** Most bytes of the file that are read: what is larger was not written by people. */
export const MAX_AUTHORIZED_KEYS_BYTES = 1024 * 1024;

/** What the line is made of. */
export interface PeerLine {
  /** `ssh-ed25519 AAAA…`. */
  readonly publicKey: string;
  /** The command that runs whatever is asked for, one argument list; words without spaces or quotes. */
  readonly command: readonly string[];
  /** From where the key is taken: the peer's own addresses and the VIPs that it may hold. */
  readonly addresses: readonly string[];
}

/**
 * The line, without line feed.
 *
 * @throws {TypeError} when a word of the command could be read otherwise by the shell that sshd starts
 */
export function peerLine({ publicKey, command, addresses }: PeerLine): string {
  const wrong = command.find((word) => !isPlainWord(word));
  if (wrong !== undefined || command.length === 0) {
    throw new TypeError(
      `Cannot let the peer run "${command.join(" ")}" as a shell may understand it otherwise: ` +
        `install relais at a path of letters, digits and / . _ - only`,
    );
  }
  const options = `command="${command.join(" ")}",from="${addresses.join(",")}",restrict`;
  return `${options} ${publicKey} ${PEER_COMMENT}`;
}

/** A word that every shell takes as it is. */
export function isPlainWord(word: string): boolean {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word);
}

/**
 * The file with exactly `line` for the peer, at the end: older lines of relais and other lines with the
 * same key are gone (sshd takes the first line of a key, which might allow more). Unchanged, byte by byte,
 * when that is already so.
 */
export function withPeerLine(text: string, line: string): string {
  const publicKey = keyOf(line);
  const found = linesOf(text).filter((each) => isOfPeer(each, publicKey));
  if (found.length === 1 && found[0] === line) return text;
  const rest = withoutPeerLines(text, publicKey);
  return `${rest}${rest === "" || rest.endsWith("\n") ? "" : "\n"}${line}\n`;
}

/** The file without the lines of relais, and without any line of `publicKey` (null: not looked for). */
export function withoutPeerLines(text: string, publicKey: string | null): string {
  const kept = text.split("\n").filter((line) => !isOfPeer(line, publicKey));
  return kept.join("\n");
}

/** The lines of relais, and all lines of `publicKey`. */
export function peerLines(text: string, publicKey: string | null): readonly string[] {
  return linesOf(text).filter((line) => isOfPeer(line, publicKey));
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}

function isOfPeer(line: string, publicKey: string | null): boolean {
  if (line.trimStart().startsWith("#")) return false;
  const key = keyOf(line);
  if (key === null) return false;
  return (publicKey !== null && key === publicKey) || line.trimEnd().endsWith(` ${PEER_COMMENT}`);
}

/** `kind blob` of a line, wherever options or comment end; null: a line without a key. */
function keyOf(line: string): string | null {
  const match = /(?:^|\s)((?:ssh|ecdsa|sk)-[a-z0-9@.-]+)\s+([A-Za-z0-9+/]{40,}={0,2})(?:\s|$)/
    .exec(line);
  return match === null ? null : `${match[1]} ${match[2]}`;
}
