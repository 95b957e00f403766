import assert from "node:assert/strict";
import { VOIP_TOML } from "../../tests/support/minimal_toml.ts";
import { parseConfig } from "../config/load.ts";
import { missingTools } from "./preflight.ts";

const CONFIG = parseConfig(`${VOIP_TOML}
[replication.files]
every = "1h"
paths = ["/etc/xivo/asterisk"]
`);

Deno.test("missingTools() names each tool that is on no path, with its package and what it is for", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/ip`, "", { mode: 0o755 });
    await Deno.writeTextFile(`${folder}/ssh`, "", { mode: 0o755 });
    await Deno.writeTextFile(`${folder}/conntrack`, "", { mode: 0o755 });
    const missing = missingTools(CONFIG, `/nowhere:${folder}`);
    assert.equal(missing.length, 1, missing.join("\n"));
    assert.match(missing[0]!, /^the data set files: .*rsync.*apt(-get)? install rsync/);
    assert.equal(missingTools(CONFIG, "/nowhere").length, 4);
    const hooks = { ...CONFIG.hooks, beforeHandback: [{ command: ["tell"], deadlineMs: 1000 }] };
    const withHook = missingTools({ ...CONFIG, hooks }, folder);
    assert.equal(withHook.length, 2, withHook.join("\n"));
    assert.match(withHook[1]!, /^the hook before_handback: Cannot run tell as it is not installed/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
