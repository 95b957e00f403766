import assert from "node:assert/strict";
import { keygen } from "../cli/keygen.ts";
import { generateKey, KEY_MIN_BYTES, KeyError, readKeys } from "./key.ts";

async function inFolder(test: (path: (name: string) => string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test((name) => `${folder}/${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function write(path: string, text: string, mode = 0o600): Promise<string> {
  await Deno.writeTextFile(path, text);
  await Deno.chmod(path, mode);
  return path;
}

Deno.test("keygen() makes a key that readKeys() reads, mode 600, and replaces none", async () => {
  await inFolder(async (path) => {
    await keygen(path("cluster.key"));
    const { mode } = await Deno.stat(path("cluster.key"));
    assert.equal((mode ?? 0) & 0o777, 0o600);
    const [key, ...more] = readKeys(path("cluster.key"));
    assert.equal(key?.length, KEY_MIN_BYTES);
    assert.equal(more.length, 0);
    await assert.rejects(keygen(path("cluster.key")), /^KeyError: Cannot make .* exists/);
    assert.deepEqual(readKeys(path("cluster.key")), [key]);
    await assert.rejects(keygen(path("absent/cluster.key")), KeyError);
  });
});

Deno.test("readKeys() reads base64 and hexadecimal, in order, without comments", async () => {
  await inFolder(async (path) => {
    const [a, b] = [generateKey(), generateKey()];
    const hex = "0f".repeat(32);
    const file = await write(path("k"), `# keys\n${a}\r\n\n  ${b}  \n${hex}\n`);
    const keys = readKeys(file);
    assert.deepEqual(keys.map((key) => btoa(String.fromCharCode(...key))).slice(0, 2), [a, b]);
    assert.deepEqual(keys[2], new Uint8Array(32).fill(0x0f));
  });
});

Deno.test("readKeys() refuses a file that others may read, and says what to run", async () => {
  await inFolder(async (path) => {
    for (const mode of [0o640, 0o604, 0o620, 0o644]) {
      const file = await write(path("k"), generateKey(), mode);
      assert.throws(() => readKeys(file), { name: "KeyError", message: /run: chmod 600 \S+\/k$/ });
    }
  });
});

Deno.test("readKeys() refuses short, malformed, absent, empty and too many keys", async () => {
  await inFolder(async (path) => {
    const cases: readonly (readonly [string, RegExp])[] = [
      [btoa("too short"), /line 1 of .* at least 32 bytes/],
      [`${generateKey()}\nnot a key!\n`, /line 2 of /],
      ["# only a comment\n", /holds 0 keys/],
      [`${generateKey()}\n`.repeat(9), /holds 9 keys/],
      ["#".repeat(20_000), /no key file/],
      // One digit too many for base64.
      ["A".repeat(45), /line 1 of .* at least 32 bytes/],
    ];
    for (const [text, why] of cases) {
      const file = await write(path("k"), text);
      assert.throws(() => readKeys(file), { name: "KeyError", message: why });
    }
    assert.throws(() => readKeys(path("absent")), { name: "KeyError", message: /relais keygen/ });
    assert.throws(() => readKeys(path("")), KeyError);
  });
});
