/**
 * The toolchain's own proof: a program compiled by packaging/toolchain/build.sh has what relais needs
 * and no more, and knows what it is.
 *
 * @module
 */

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { run, runOk } from "../../src/os/process.ts";
import { TempDirectory } from "../support/temp_directory.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const BUILD = `${ROOT}packaging/toolchain/build.sh`;
const SECRET = "not for relais";

/** Compiles the probe, runs it once, and leaves nothing behind. */
async function probe(): Promise<Record<string, unknown>> {
  using directory = new TempDirectory();
  const program = `${directory.path}/probe`;
  const env = { RELAIS_MAIN: "tests/binary/probe_main.ts", RELAIS_OUT: program };
  await runOk([BUILD], { deadlineMs: 300_000, env });
  const { stdout } = await runOk([program, directory.path], {
    deadlineMs: 60_000,
    env: { AWS_SECRET_ACCESS_KEY: SECRET },
  });
  return JSON.parse(stdout);
}

Deno.test("a compiled program has the permissions of relais, no more, and knows its build", async () => {
  const answers = await probe();
  const {
    build,
    deniedEnvironment,
    deniedEnvironmentAll,
    deniedKernelFile,
    deniedSystem,
    ...rest
  } = answers;
  assert.deepEqual(rest, {
    toml: 1,
    zod: true,
    commander: "Usage: relais [options]",
    logtape: "function",
    hono: "ok",
    sqlite: 42,
    postgres: "ENOENT",
    udp: "sip",
    run: "Linux\n",
    system: [true, Deno.uid(), true],
    kernelFile: "Linux\n",
    log: "logged",
    notify: false,
  });
  for (const denied of [deniedEnvironment, deniedEnvironmentAll, deniedKernelFile, deniedSystem]) {
    assert.match(String(denied), /^NotCapable: /);
  }
  assert.doesNotMatch(JSON.stringify(answers), new RegExp(SECRET));

  const info = build as Record<string, unknown>;
  assert.equal(info["version"], config.version);
  assert.match(String(info["denort"]), /^(official|fallback|custom)$/);
  assert.equal(
    info["label"],
    info["denort"] === "official" ? config.version : `${config.version}+${info["denort"]}`,
  );
  const git = ["git", "-C", ROOT, "cat-file", "-t", String(info["commit"])];
  const kind = await run(git, { deadlineMs: 10_000 });
  assert.ok(kind.stdout === "commit\n" || info["commit"] === "unknown", kind.stderr);
});

Deno.test("a build for an architecture without denort says what is missing", async () => {
  const other = Deno.build.arch === "aarch64" ? "amd64" : "arm64";
  const result = await run([BUILD], {
    deadlineMs: 300_000,
    // No download can begin: the same as on a closed network.
    env: { ARCH: other, DENORT: "fallback", RELAIS_MAIN: "tests/binary/probe_main.ts" },
  });
  if (other === "amd64") return;
  assert.equal(result.code, 1);
  assert.match(
    result.stderr,
    /Cannot build for arm64 as there is no denort for it: .*DENORT_BIN=FILE/,
  );
});

Deno.test("a build with a DENORT_BIN that does not exist says so", async () => {
  using directory = new TempDirectory();
  const result = await run([BUILD], {
    deadlineMs: 300_000,
    env: {
      DENORT_BIN: "/nonexistent/denort",
      RELAIS_MAIN: "tests/binary/probe_main.ts",
      RELAIS_OUT: `${directory.path}/probe`,
    },
  });
  assert.equal(result.code, 1);
  assert.match(
    result.stderr,
    /Cannot use DENORT_BIN=\/nonexistent\/denort as there is no such file/,
  );
});
