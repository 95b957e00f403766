import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parseConfig } from "./load.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

for (const name of ["README.md", "README.fr.md"]) {
  Deno.test(`parseConfig() takes the configuration that ${name} shows`, async () => {
    const text = await Deno.readTextFile(`${ROOT}${name}`);
    const blocks = [...text.matchAll(/```toml\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
    assert.equal(blocks.length, 1);
    const config = parseConfig(blocks[0]!);
    assert.deepEqual(config.networks.flatMap(({ vips }) => vips), ["10.20.0.10", "10.30.0.10"]);
    assert.ok(config.services.units.includes("asterisk.service"));
    assert.notEqual(config.replication.database, null);
  });
}
