import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { loadConfig } from "../config/load.ts";
import { checkConfig } from "./check_config.ts";

const path = fileURLToPath(new URL("../../packaging/conf/relais.toml", import.meta.url));

async function withFile(content: string, body: (path: string) => Promise<void>): Promise<void> {
  const file = await Deno.makeTempFile({ prefix: "relais-", suffix: ".toml" });
  try {
    await Deno.writeTextFile(file, content);
    await body(file);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("checkConfig() exits 0 and says what the file means for this host", async () => {
  const result = await checkConfig({ path, ownAddresses: ["10.20.0.12"], json: false });
  assert.equal(result.exitCode, 0);
  assert.equal(result.stderr, "");
  assert.match(result.stdout, /^.*relais\.toml: good\ncluster {5}siege/);
  assert.match(result.stdout, /this host {3}slave/);
  assert.match(result.stdout, /acted on within 3000 \+ 200 ms/);
});

Deno.test("checkConfig() as JSON carries role, fingerprint and configuration", async () => {
  const result = await checkConfig({ path, role: "master", json: true });
  const said: unknown = JSON.parse(result.stdout);
  const config = await loadConfig(path);
  assert.deepEqual(said, {
    ok: true,
    path,
    role: "master",
    fingerprint: config.fingerprint,
    config: JSON.parse(JSON.stringify(config)),
  });
});

Deno.test("checkConfig() shows hooks in their order, with what each may take", async () => {
  const sample = await Deno.readTextFile(path);
  const hooks = `[hooks]\npresets = ["agents-relog"]
after_takeover = [{ command = ["/usr/local/sbin/tell", "serving"], deadline_s = 3 }]\n`;
  await withFile(sample + hooks, async (file) => {
    const { stdout } = await checkConfig({ path: file, json: false });
    assert.match(
      stdout,
      /^hooks {7}after_takeover: xivo-agentd-cli -c relog all \(at most 60 s\), then \/usr\/local\/sbin\/tell serving \(at most 3 s\)$/m,
    );
    assert.doesNotMatch(stdout, /before_takeover/);
  });
});

Deno.test("checkConfig() without addresses checks the file alone", async () => {
  const result = await checkConfig({ path, json: false });
  assert.equal(result.exitCode, 0);
  assert.match(result.stdout, /this host {3}not asked/);
});

Deno.test("checkConfig() exits 65 and lists every problem of a bad file", async () => {
  await withFile('[cluster]\nname = 3\ncolour = "red"\n', async (file) => {
    const result = await checkConfig({ path: file, json: false });
    assert.equal(result.exitCode, 65);
    assert.equal(result.stdout, "");
    assert.match(
      result.stderr,
      /: 3 problems\n {2}cluster\.colour: .*\n {2}cluster\.name: .*\n {2}net/,
    );
    const json = await checkConfig({ path: file, json: true });
    assert.equal(json.exitCode, 65);
    assert.equal(JSON.parse(json.stdout).issues.length, 3);
  });
  await withFile("[cluster", async (file) => {
    const result = await checkConfig({ path: file, json: false });
    assert.equal(result.exitCode, 65);
    assert.match(result.stderr, /1 problem\n {2}file: must be valid TOML \(got line 1, column/);
  });
});

Deno.test("checkConfig() exits 65 for bytes that are no text and for an endless file", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, new Uint8Array([0x61, 0xff, 0xfe]));
    const binary = await checkConfig({ path: file, json: false });
    assert.equal(binary.exitCode, 65);
    assert.match(binary.stderr, /must be text in UTF-8/);
  } finally {
    await Deno.remove(file);
  }
  const endless = await checkConfig({ path: "/dev/zero", json: false });
  assert.equal(endless.exitCode, 65);
  assert.match(endless.stderr, /must be at most 1048576 bytes/);
});

Deno.test("checkConfig() exits 66 for a file that cannot be read", async () => {
  const missing = await checkConfig({ path: "/nonexistent/relais.toml", json: false });
  assert.equal(missing.exitCode, 66);
  assert.match(missing.stderr, /^Cannot read \/nonexistent\/relais\.toml as there is no such file/);
  const directory = await checkConfig({ path: "/tmp", json: true });
  assert.equal(directory.exitCode, 66);
  assert.match(JSON.parse(directory.stdout).error, /^Cannot read \/tmp as /);
});

Deno.test("checkConfig() exits 78 for a host that is neither or both", async () => {
  for (const ownAddresses of [["192.0.2.1"], ["10.20.0.11", "10.20.0.12"], []]) {
    const result = await checkConfig({ path, ownAddresses, json: false });
    assert.equal(result.exitCode, 78);
    assert.match(result.stderr, /^Cannot tell which host this is as it has /);
  }
});
