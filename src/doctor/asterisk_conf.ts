/**
 * Reads asterisk.conf as far as `relais doctor` needs it. Pure. Source: Asterisk's configuration files
 * (`;` begins a comment, `=` and `=>` mean the same, `#include` brings in other files).
 *
 * @module
 */

/** What one file of Asterisk's configuration says. */
export interface AsteriskConf {
  /** The last `systemname` of `[options]`; null: none. */
  readonly systemName: string | null;
  /** `autosystemname`: the host name is the system name, unless one is given. */
  readonly auto: boolean;
  /** Patterns of `#include` and `#tryinclude`, as written. */
  readonly includes: readonly string[];
}

/** Takes the text of asterisk.conf, or of a file that it includes, apart. */
export function parseAsteriskConf(text: string): AsteriskConf {
  let section = "";
  let systemName: string | null = null;
  let auto = false;
  const includes: string[] = [];
  for (const raw of text.split("\n")) {
    const line = raw.replace(/(^|[^\\]);[^]*$/, "$1").trim();
    const include = /^#(?:try)?include\s+([^]+)$/.exec(line)?.[1];
    if (include !== undefined) includes.push(include.replace(/^["<]/, "").replace(/[">]$/, ""));
    const header = /^\[([^\]]+)\]/.exec(line);
    if (header !== null) section = header[1] ?? "";
    const equals = line.indexOf("=");
    if (equals < 1 || section !== "options") continue;
    const key = line.slice(0, equals).trimEnd();
    const value = line.slice(equals + 1).replace(/^>/, "").trimStart();
    if (key.toLowerCase() === "systemname") systemName = value || null;
    if (key.toLowerCase() === "autosystemname") auto = /^(yes|true|y|t|1|on)$/i.test(value);
  }
  return { systemName, auto, includes };
}

/** `Asterisk 16.28.0~dfsg-0+deb11u4` → `16.28.0~dfsg-0+deb11u4`; null when it is no such line. */
export function parseAsteriskVersion(stdout: string): string | null {
  return /^Asterisk (\S+)/m.exec(stdout)?.[1] ?? null;
}
