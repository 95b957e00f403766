import assert from "node:assert/strict";
import { join } from "node:path";
import { findAsterisk, RealAsterisk } from "../../tests/support/real_asterisk.ts";
import { systemClock } from "../os/clock.ts";
import { libc } from "../os/libc.ts";
import { installAstdb } from "./astdb_install.ts";
import { readAstdb } from "./astdb_read.ts";
import { readRow } from "./peer_fixture.ts";

libc(); // Once for all tests here: a library that one test opens counts as its leak.
const root = await findAsterisk();

Deno.test({
  name:
    "a real Asterisk loses no key while its astdb is copied all the time, and is not replaced under it",
  ignore: root === null,
  async fn(): Promise<void> {
    const dir = await Deno.makeTempDir();
    const asterisk = await RealAsterisk.start(dir, root!);
    try {
      let copies = 0;
      let over = false;
      const copying = (async (): Promise<void> => {
        while (!over) {
          const result = await readAstdb({
            path: asterisk.astdb,
            workDir: join(dir, "work"),
            clock: systemClock,
            atRest: false,
          });
          if (result.ok) copies += 1;
          await systemClock.sleep(1);
        }
      })();
      const put: string[] = [];
      for (let at = 0; at < 30; at++) {
        if (await asterisk.put("test", `key${at}`, `value${at}`)) put.push(`key${at}`);
        await systemClock.sleep(150);
      }
      over = true;
      await copying;
      assert.equal(put.length, 30);
      assert.ok(copies > 10, `only ${copies} copies`);
      const install = { path: asterisk.astdb, from: asterisk.astdb, sha256: "" };
      await assert.rejects(installAstdb({ ...install, sha256: await digestOf(asterisk.astdb) }), {
        name: "AstdbInstallError",
        message: /as asterisk \(process [0-9]+\) has it open: stop it first/,
      });
      await asterisk.stop();
      for (const key of put) assert.notEqual(readRow(asterisk.astdb, `/test/${key}`), null, key);
    } finally {
      await asterisk.stop().catch(() => {}); // It has ended.
      await Deno.remove(dir, { recursive: true });
    }
  },
});

async function digestOf(path: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(path)));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
