import assert from "node:assert/strict";
import { asStdio, openJoint } from "./joint.ts";

Deno.test("openJoint() carries what one program says to another, and its end", async () => {
  const parent = await Deno.makeTempDir();
  try {
    const joint = await openJoint(parent);
    assert.deepEqual([...Deno.readDirSync(parent)], []);
    const from = new Deno.Command("head", {
      args: ["-c", "5000000", "/dev/zero"],
      stdin: "null",
      stdout: asStdio(joint.writer),
    }).spawn();
    const to = new Deno.Command("wc", {
      args: ["-c"],
      stdin: asStdio(joint.reader),
      stdout: "piped",
    }).spawn();
    joint.close();
    joint.close();
    const { stdout } = await to.output();
    assert.equal(new TextDecoder().decode(stdout).trim(), "5000000");
    assert.ok((await from.status).success);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});

Deno.test("openJoint() tells the writer that nobody reads any more", async () => {
  const parent = await Deno.makeTempDir();
  try {
    const joint = await openJoint(parent);
    const from = new Deno.Command("yes", { stdin: "null", stdout: asStdio(joint.writer) }).spawn();
    const to = new Deno.Command("true", { stdin: asStdio(joint.reader) }).spawn();
    joint.close();
    assert.ok((await to.status).success);
    assert.equal((await from.status).signal, "SIGPIPE");
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});

Deno.test("openJoint() removes what a killed relais left, and nothing else", async () => {
  const parent = await Deno.makeTempDir();
  try {
    for (const name of ["relais-joint-old", "relais-joint-new", "other"]) {
      await Deno.mkdir(`${parent}/${name}`);
    }
    await Deno.utime(`${parent}/relais-joint-old`, 1, 1);
    await Deno.utime(`${parent}/other`, 1, 1);
    (await openJoint(parent)).close();
    const left = [...Deno.readDirSync(parent)].map((entry) => entry.name).toSorted();
    assert.deepEqual(left, ["other", "relais-joint-new"]);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});

Deno.test("openJoint() fails where it may not write", async () => {
  await assert.rejects(openJoint("/proc/relais-nowhere"), /ENOENT|no such file/i);
});
