/**
 * Runs every `*.scenario` file beside this one. A file is blocks of commands; under `----` stands what the
 * node decided. `RECORD=1 deno test -A tests/scenarios` writes what it decides now: read the diff.
 *
 * @module
 */

import assert from "node:assert/strict";
import { World } from "./world.ts";

const folder = new URL(".", import.meta.url);
const record = Deno.env.get("RECORD") === "1";

/** Plays a file and returns it with the node's real decisions. */
function play(text: string): string {
  let world: World | null = null;
  const blocks = text.trimEnd().split(/\n{2,}/).map((block) => {
    const commands = block.split("\n----")[0]?.split("\n") ?? [];
    const out = commands.flatMap((line) => {
      const command = line.replace(/#.*$/, "").trim();
      if (command === "") return [];
      if (command.startsWith("node ")) {
        world = new World(command);
        return [];
      }
      if (world === null) throw new SyntaxError(`Cannot run "${command}" before "node …"`);
      return world.command(command);
    });
    return [...commands, ...(out.length === 0 ? [] : ["----", ...out])].join("\n");
  });
  return `${blocks.join("\n\n")}\n`;
}

for (const entry of [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  if (!entry.name.endsWith(".scenario")) continue;
  Deno.test(`step() decides as written in ${entry.name}`, async () => {
    const path = new URL(entry.name, folder);
    const written = await Deno.readTextFile(path);
    const played = play(written);
    if (record) await Deno.writeTextFile(path, played);
    else assert.equal(played, written);
  });
}
