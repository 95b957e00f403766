/**
 * Names of routing tables, as administrators write them.
 *
 * @module
 */

import { MAIN_TABLE } from "./iproute.ts";

/** Known to every Linux (rtnetlink(7)). */
const BUILT_IN: ReadonlyMap<string, number> = new Map([
  ["default", 253],
  ["main", MAIN_TABLE],
  ["local", 255],
]);

/** Where iproute2 keeps the names, the administrator's first. */
const FILES = ["/etc/iproute2/rt_tables", "/usr/share/iproute2/rt_tables"];

/** Largest number of a table (rtnetlink(7), RTA_TABLE: 32 bits). */
const MAX_TABLE = 0xffff_ffff;

/** Reads `NUMBER NAME` lines; anything else is a comment. */
export function parseTables(text: string): ReadonlyMap<string, number> {
  const tables = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^\s*(\d+|0x[0-9a-f]+)\s+(\S+)/i.exec(line);
    const [, number, name] = match ?? [];
    if (number === undefined || name === undefined || Number(number) > MAX_TABLE) continue;
    tables.set(name, Number(number));
  }
  return tables;
}

/**
 * The numbers of `names` (numbers, built-in names, names of rt_tables). Files are read only for names
 * that need them.
 *
 * @throws {Error} for a name that is in none of them
 */
export function resolveTables(names: readonly string[]): ReadonlyMap<string, number> {
  const resolved = new Map<string, number>();
  const open: string[] = [];
  for (const name of names) {
    const number = /^\d+$/.test(name) ? Number(name) : BUILT_IN.get(name);
    if (number === undefined) open.push(name);
    else resolved.set(name, number);
  }
  if (open.length === 0) return resolved;
  const files = FILES.map(readTables);
  for (const name of open) {
    const number = files.map((file) => file.get(name)).find((found) => found !== undefined);
    if (number === undefined) {
      throw new Error(
        `Cannot find the routing table "${name}" as ${FILES.join(" and ")} do not name it: ` +
          `use its number or add it there`,
      );
    }
    resolved.set(name, number);
  }
  return resolved;
}

function readTables(file: string): ReadonlyMap<string, number> {
  try {
    return parseTables(Deno.readTextFileSync(file));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
}
