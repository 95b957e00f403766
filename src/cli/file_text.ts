/**
 * What `init` and `pair` ask first of a file that may not be there yet.
 *
 * @module
 */

/**
 * The text of a file; null: there is none, or it is empty.
 *
 * @throws {Error} when it is there and cannot be read
 */
export async function textOf(path: string): Promise<string | null> {
  try {
    const text = await Deno.readTextFile(path);
    return text.trim() === "" ? null : text;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw cause;
  }
}
