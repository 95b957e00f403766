/**
 * Inputs that once broke something: `kept/TARGET-NAME.bin`, fed again in every run.
 *
 * @module
 */

const FOLDER = new URL("./kept/", import.meta.url);

/** One of them. */
export interface Kept {
  readonly file: string;
  readonly target: string;
  readonly input: Uint8Array;
}

/** All of them, in order of their names. */
export async function keptInputs(targets: readonly string[]): Promise<readonly Kept[]> {
  const found: Kept[] = [];
  for await (const { name } of Deno.readDir(FOLDER)) {
    if (!name.endsWith(".bin")) continue;
    // The longest name that fits: `arp` is no target of `arp-x-1.bin` if `arp-x` is one.
    const [target] = targets.filter((one) => name.startsWith(`${one}-`))
      .sort((a, b) => b.length - a.length);
    if (target === undefined) throw new Error(`Cannot feed ${name} as its target is not known`);
    found.push({ file: name, target, input: await Deno.readFile(new URL(name, FOLDER)) });
  }
  return found.sort((a, b) => a.file < b.file ? -1 : 1);
}
