/**
 * systemd's configuration files, as far as one value is wanted. Pure. Source: systemd.syntax(7).
 *
 * @module
 */

/** The last value of `key` in `[section]` of concatenated files; null: it is not set. */
export function lastValue(text: string, section: string, key: string): string | null {
  let current = "";
  let value: string | null = null;
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (line.startsWith("#") || line.startsWith(";")) continue;
    const header = /^\[(.+)\]$/.exec(line);
    if (header !== null) current = header[1] ?? "";
    const equals = line.indexOf("=");
    if (current !== section || equals < 0 || line.slice(0, equals).trim() !== key) continue;
    // An empty value takes back what was said before.
    value = line.slice(equals + 1).trim() || null;
  }
  return value;
}

/** Whether systemd takes a value for true; null for words that are no boolean. */
export function asBoolean(value: string): boolean | null {
  if (/^(1|yes|y|true|t|on)$/i.test(value)) return true;
  return /^(0|no|n|false|f|off)$/i.test(value) ? false : null;
}
