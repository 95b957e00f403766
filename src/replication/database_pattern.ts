/**
 * Table name patterns of the configuration (`local_tables`, `exclude_table_data`), read as psql(1)
 * section "Patterns" says: `*` any characters, `?` one, folded to lower case unless in double quotes, a
 * dot parts schema and table. Unlike in pg_dump, a name without a schema matches in every schema.
 *
 * @module
 */

/** One pattern, ready to match. */
export interface TablePattern {
  /** Null: every schema. */
  readonly schema: RegExp | null;
  readonly table: RegExp;
}

/**
 * Translates one pattern.
 *
 * @throws {TypeError} when it has more than two parts, an empty one or an open quote
 */
export function tablePattern(text: string): TablePattern {
  const parts = [""];
  let quoted = false;
  for (let index = 0; index < text.length; index++) {
    const char = text.charAt(index);
    if (char === '"' && quoted && text.charAt(index + 1) === '"') {
      parts.push(parts.pop() + '"');
      index++;
    } else if (char === '"') quoted = !quoted;
    else if (char === "." && !quoted) parts.push("");
    else parts.push(parts.pop() + (quoted ? literal(char) : translated(char)));
  }
  const [first, second] = parts;
  if (quoted || parts.length > 2 || first === undefined || parts.includes("")) {
    throw new TypeError(
      `Cannot use the table pattern ${text} as it is not of the form schema.table`,
    );
  }
  if (second === undefined) return { schema: null, table: wholeName(first) };
  return { schema: wholeName(first), table: wholeName(second) };
}

/** Whether `pattern` names the table. */
export function matchesTable(
  pattern: TablePattern,
  name: { readonly schema: string; readonly table: string },
): boolean {
  return (pattern.schema?.test(name.schema) ?? true) && pattern.table.test(name.table);
}

function wholeName(source: string): RegExp {
  return new RegExp(`^(?:${source})$`, "su");
}

function translated(char: string): string {
  if (char === "*") return ".*";
  if (char === "?") return ".";
  return literal(char.toLowerCase());
}

function literal(char: string): string {
  return /[\^$.*+?()[\]{}|\\/]/.test(char) ? `\\${char}` : char;
}
