import assert from "node:assert/strict";
import { parseConfig } from "./load.ts";
import { PRODUCT_PRESETS } from "./presets.ts";

const PRODUCTS = ["xivo", "wazo"] as const;

function order(units: readonly string[], ...names: readonly string[]): void {
  const at = names.map((name) => units.indexOf(`${name}.service`));
  assert.ok(at.every((index) => index >= 0), `${names} in ${units}`);
  assert.deepEqual(at, at.toSorted((a, b) => a - b), `${names} in this order in ${units}`);
}

Deno.test("each preset starts what Asterisk reads before Asterisk, and monit last", () => {
  for (const product of PRODUCTS) {
    const { units } = PRODUCT_PRESETS[product];
    const own = (...names: string[]): string[] => names.map((name) => `${product}-${name}`);
    order(units, "dahdi", ...own("confgend", "confd", "auth", "provd", "agid"), "asterisk");
    order(units, "asterisk", ...own("amid", "agentd", "dird", "websocketd"), "monit");
    assert.equal(units.at(-1), "monit.service");
  }
});

Deno.test("no preset stops what the standby needs: database, bus, web server, the host's configuration", () => {
  for (const product of PRODUCTS) {
    for (const unit of PRODUCT_PRESETS[product].units) {
      assert.doesNotMatch(unit, /^(postgresql|rabbitmq|consul|nginx|(xivo|wazo)-sysconfd)/);
    }
  }
});

Deno.test("each preset is a good configuration by itself, and says what came from it", () => {
  for (const product of PRODUCTS) {
    const config = parseConfig(`[cluster]\nname = "x"\npreset = "${product}"
[[networks]]\nname = "voip"\nmaster = "10.20.0.11"\nslave = "10.20.0.12"\nprefix = 24`);
    assert.equal(config.services.unitsFromPreset, true);
    assert.equal(config.replication.files?.pathsFromPreset, true);
    assert.ok(config.replication.files?.paths.includes(`/var/lib/${product}/sounds`));
    const { returnPaths, paths } = config.replication.files;
    // What comes back was copied there: only then deletions can come back too.
    assert.deepEqual(returnPaths.filter((path) => !paths.includes(path)), []);
  }
});
