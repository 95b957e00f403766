// The steps of docs/by-hand.md, as they are printed there, on two hosts with the real program.
import assert from "node:assert/strict";
import { Cluster } from "../support/cluster.ts";
import type { TestHost } from "../support/host.ts";
import { poll } from "../support/poll.ts";
import { FILE_PATHS, relaisToml, RETURN_PATH } from "../support/relais_config.ts";
import { RELAIS } from "../support/relais_host.ts";
import { DEADLINE_MS, FAST } from "./situations.ts";

interface Block {
  readonly kind: "run" | "daemon";
  readonly on: "both" | "master" | "slave";
  readonly script: string;
}

/** The marked blocks of the manual, in order: `<!-- run: both -->` and what follows. */
async function readBlocks(name: string): Promise<readonly Block[]> {
  const text = await Deno.readTextFile(new URL(`../../${name}`, import.meta.url));
  const marked = /<!-- (run|daemon): (both|master|slave) -->\n+```sh\n([\s\S]*?)```/g;
  return [...text.matchAll(marked)].map(([, kind, on, script]) => ({
    kind: kind as Block["kind"],
    on: on as Block["on"],
    script: script ?? "",
  }));
}

/** Two hosts as an administrator finds them: their own sshd, nothing of relais but the two files. */
async function bareCluster(): Promise<Cluster> {
  const cluster = await Cluster.create({ config: FAST, key: false });
  for (const { host } of cluster.both) {
    await host.exec(["sh", "-c", "kill $(pidof -x sshd) && rm -rf /etc/relais/*"]);
    await host.exec(["mv", RELAIS, "/root/relais"]);
    await host.writeFile("/root/relais.toml", relaisToml(FAST), 0o644);
    for (const path of [...FILE_PATHS, RETURN_PATH]) await host.exec(["mkdir", "-p", path]);
    host.spawn(["/usr/sbin/sshd", "-D", "-e"], { logFile: "/var/log/sshd.log" });
  }
  return cluster;
}

async function inRoot(host: TestHost, script: string): Promise<string> {
  const argv = ["bash", "-euo", "pipefail", "-c", `cd /root; ${script}`];
  const { code, stdout, stderr } = await host.try(argv, { deadlineMs: DEADLINE_MS });
  assert.equal(code, 0, `${host.name}: ${script}\n${stdout}${stderr}`);
  return stdout;
}

Deno.test("docs/by-hand.md: the steps of the installation by hand work as printed", async () => {
  const blocks = await readBlocks("docs/by-hand.md");
  assert.equal(blocks.length, 8);
  await using cluster = await bareCluster();
  const { master, slave } = cluster;
  let said = "";
  for (const { kind, on, script } of blocks) {
    const hosts = on === "both" ? cluster.both : [cluster[on]];
    for (const { host } of hosts) {
      if (kind === "daemon") {
        host.spawn(["bash", "-c", script], { logFile: "/var/log/relais.log" });
        continue;
      }
      if (script.includes("relais status")) await cluster.untilNormal(DEADLINE_MS);
      said += await inRoot(host, script);
    }
    if (script.includes("ssh-keygen -q")) await carryKeys(cluster);
    if (script.includes("relais keygen")) await carry(master.host, slave.host);
  }
  assert.match(said, /^\{"ok":true/m, "hello through the forced command");
  assert.match(said, /\bmaster, active for/, "relais status");
  assert.match(said, /^copied: astdb, files$/m, "relais sync");
  await upgrade(cluster);
  await poll(
    async () => (await slave.status())?.dataSets.some((set) => set.direction === "received"),
    { deadlineMs: DEADLINE_MS, what: "the received copies" },
  );
});

/** docs/operations.md, "Upgrade by hand": another process, and nothing moves. */
async function upgrade(cluster: Cluster): Promise<void> {
  const [block, ...others] = await readBlocks("docs/operations.md");
  assert.equal(others.length, 0);
  for (const each of cluster.both) {
    const before = await each.status();
    await inRoot(each.host, block!.script);
    const after = await each.waitFor(
      ({ node }) => node.instanceId !== before?.node.instanceId && node.state !== "starting",
      { deadlineMs: DEADLINE_MS, what: "the next daemon" },
    );
    if (each === cluster.master) {
      assert.equal(after.node.state, "active");
      assert.equal(after.node.rule, "N-ADOPT");
      assert.equal(after.node.epoch, before?.node.epoch);
    }
  }
}

/** "Copy each host's public key to the other as peer.pub". */
async function carryKeys({ master, slave }: Cluster): Promise<void> {
  const file = "/etc/relais/ssh/id_ed25519.pub";
  await slave.host.writeFile("/root/peer.pub", await master.host.readFile(file), 0o644);
  await master.host.writeFile("/root/peer.pub", await slave.host.readFile(file), 0o644);
}

/** "Copy the file to the same place on the slave, mode 600". */
async function carry(from: TestHost, to: TestHost): Promise<void> {
  const file = "/etc/relais/cluster.key";
  await to.writeFile(file, await from.readFile(file), 0o600);
}
