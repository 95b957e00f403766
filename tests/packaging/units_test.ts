/**
 * The systemd units, as systemd itself reads them. Needs no running systemd.
 *
 * @module
 */

import assert from "node:assert/strict";
import { run } from "../../src/os/process.ts";

const UNITS = "packaging/systemd";
const DEADLINE_MS = 60_000;

async function analyze(args: readonly string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await run(["systemd-analyze", ...args], {
    deadlineMs: DEADLINE_MS,
  });
  return { code, text: stdout + stderr };
}

/** A root with both units and with stand-ins for the programs that they name, so that these "exist". */
function makeRoot(): string {
  const root = Deno.makeTempDirSync({ prefix: "relais-units-" });
  const etc = `${root}/etc/systemd/system`;
  Deno.mkdirSync(etc, { recursive: true });
  for (const name of ["relais.service", "relais-cleanup.service"]) {
    Deno.copyFileSync(`${UNITS}/${name}`, `${etc}/${name}`);
  }
  for (const program of ["bin/sh", "usr/sbin/relais", "usr/bin/systemctl"]) {
    Deno.mkdirSync(`${root}/${program}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(`${root}/${program}`, "#!/bin/sh\n", { mode: 0o755 });
  }
  return root;
}

Deno.test("systemd finds nothing wrong in the units", async () => {
  const root = makeRoot();
  try {
    const names = ["relais.service", "relais-cleanup.service"];
    const options = ["verify", `--root=${root}`, "--man=no", "--recursive-errors=no"];
    const { code, text } = await analyze([...options, ...names]);
    assert.equal(text.trim(), "");
    assert.equal(code, 0);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

for (const name of ["relais.service", "relais-cleanup.service"]) {
  Deno.test(`the exposure of ${name} is at most 4.0`, async () => {
    const options = ["security", "--offline=true", "--threshold=40", "--no-pager"];
    const { code, text } = await analyze([...options, `${UNITS}/${name}`]);
    assert.equal(code, 0, text);
  });
}

Deno.test("a crash of the daemon ends neither the VIPs nor what its commands started", () => {
  const unit = Deno.readTextFileSync(`${UNITS}/relais.service`);
  // ExecStopPost= would run between two restarts, too (DESIGN section 6).
  assert.doesNotMatch(unit, /^ExecStop(Post)?=/m);
  assert.match(unit, /^KillMode=process$/m);
  assert.match(unit, /^Restart=always$/m);
  assert.match(unit, /^OnFailure=relais-cleanup\.service$/m);
  assert.match(unit, /^RuntimeDirectoryPreserve=yes$/m);
});
