import assert from "node:assert/strict";
import { libc } from "../os/libc.ts";
import { dropInText } from "../services/gate_drop_in.ts";
import type { Previous } from "../runtime/memory.ts";
import { keeperOf, readWord, stopServices } from "./cleanup_services.ts";

libc(); // Opened here, as it stays open: inside a test it would count as a leak.

const served: Previous = { state: "active", serving: true, agoMs: 9_999_999 };

Deno.test("keeperOf(): services are relais' own where a daemon of this boot served or had not come to rest", () => {
  const of = (previous: Previous | null, left: boolean, open: boolean) =>
    keeperOf({ previous, left, open });
  assert.equal(of(served, true, true), "relais");
  assert.equal(of(served, true, false), "relais", "the gate was closed by an earlier clean-up");
  assert.equal(of({ ...served, state: "isolated" }, true, true), "relais");
  for (const state of ["starting", "rejoining", "taking-over", "handing-back", "failed"] as const) {
    assert.equal(of({ ...served, state, serving: false }, true, true), "relais", state);
  }
  assert.equal(of({ ...served, state: "maintenance" }, true, true), "operator");
  assert.equal(of({ ...served, state: "maintenance", serving: false }, true, true), "operator");
  assert.equal(of({ ...served, state: "standby", serving: false }, true, true), "nobody");
  assert.equal(of(null, true, true), "relais", "damaged, and the daemon opened the gate");
  assert.equal(of(null, true, false), "nobody");
  assert.equal(of(null, false, true), "nobody", "opened by hand");
  assert.equal(of(null, false, false), "nobody");
});

Deno.test("readWord() tells a damaged word from none, and both from that of another boot", () => {
  const runDir = Deno.makeTempDirSync({ prefix: "relais-word-" });
  try {
    const said: string[] = [];
    const read = () => readWord(runDir, (text) => said.push(text));
    assert.deepEqual(read(), { left: false, previous: null, open: false });
    Deno.writeTextFileSync(`${runDir}/serving`, "");
    assert.deepEqual(read(), { left: false, previous: null, open: true });
    assert.deepEqual(said, []);
    Deno.writeTextFileSync(`${runDir}/serving.json`, "{");
    assert.deepEqual(read(), { left: true, previous: null, open: true });
    assert.match(said.join(), /Cannot use .*serving\.json/);
    const word = { version: 1, state: "active", serving: true, epoch: 3, uptimeMs: 0 };
    const other = { ...word, bootId: "of yesterday" };
    Deno.writeTextFileSync(`${runDir}/serving.json`, JSON.stringify(other));
    assert.deepEqual(read(), { left: false, previous: null, open: true });
    const bootId = Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
    Deno.writeTextFileSync(`${runDir}/serving.json`, JSON.stringify({ ...word, bootId }));
    const { previous } = read();
    assert.equal(previous?.serving, true);
    assert.equal(previous?.state, "active");
  } finally {
    Deno.removeSync(runDir, { recursive: true });
  }
});

/** A systemctl that knows three running units and notes what it was told. */
const SYSTEMCTL = `#!/bin/sh
echo "$@" >>"$0.log"
if [ "$1" = show ]; then
  shift
  while [ "$1" != -- ]; do shift; done
  shift
  for unit; do
    state=active
    ! grep -q "^stop.* $unit" "$0.log" || state=inactive
    printf 'Id=%s\\nLoadState=loaded\\nActiveState=%s\\nSubState=x\\nType=simple\\n\\n' "$unit" "$state"
  done
fi
`;

Deno.test("stopServices() without a configuration stops the units behind this run directory's gate", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "relais-gated-" });
  try {
    const systemctl = `${folder}/systemctl`;
    Deno.writeTextFileSync(systemctl, SYSTEMCTL, { mode: 0o755 });
    const [unitDir, runDir] = [`${folder}/units`, `${folder}/run`];
    for (const [unit, flag] of [["a", runDir], ["b", runDir], ["c", `${folder}/another`]]) {
      Deno.mkdirSync(`${unitDir}/${unit}.service.d`, { recursive: true });
      const path = `${unitDir}/${unit}.service.d/50-relais-gate.conf`;
      Deno.writeTextFileSync(path, dropInText(`${flag}/serving`));
    }
    const signal = new AbortController().signal;
    const told = await stopServices({ config: null, runDir, unitDir, systemctl, signal });
    assert.deepEqual(told, ["b.service stopped", "a.service stopped"]);
    const again = await stopServices({ config: null, runDir, unitDir, systemctl, signal });
    assert.deepEqual(again, [], "they don't run");
    await assert.rejects(
      stopServices({ config: null, runDir: `${folder}/x`, unitDir, systemctl, signal }),
      /Cannot stop the services as the configuration, which names them, can't be used/,
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
