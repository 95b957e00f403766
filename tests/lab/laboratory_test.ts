/**
 * The laboratory keeps its promises: hosts, cables, pause and power.
 *
 * @module
 */

import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import type { LabHost, LabMachine } from "./lab_host.ts";
import { Laboratory, ROOT_PASSWORD } from "./laboratory.ts";
import { sql } from "./provision.ts";
import { installedVersion, offerNewerAsterisk, upgradeAll } from "./service_package.ts";

/** For what must come: generous, a test machine may be slow. */
const DEADLINE_MS = 30_000;

let shared: Laboratory | null = null;
Deno.test.beforeAll(async () => {
  shared = await Laboratory.open();
});
Deno.test.afterAll(async () => {
  await shared?.close();
});

/** A test in the shared laboratory; each leaves it whole. */
function labTest(name: string, work: (laboratory: Laboratory) => Promise<void>): void {
  Deno.test(name, async () => {
    assert.ok(shared !== null, "the laboratory is not up");
    await work(shared);
  });
}

/** One ping, as a question. */
async function pings(from: LabMachine, address: string): Promise<boolean> {
  return (await from.try(["ping", "-c", "1", "-W", "1", address])).code === 0;
}

async function untilPings(from: LabMachine, address: string): Promise<void> {
  const what = `an answer of ${address} to ${from.name}`;
  await poll(() => pings(from, address), { deadlineMs: DEADLINE_MS, what });
}

async function carrier(host: LabHost, interfaceName: string): Promise<string> {
  return await host.read(["cat", `/sys/class/net/${interfaceName}/carrier`]);
}

labTest("both hosts run systemd, without a failed unit", async ({ hosts }) => {
  for (const host of hosts) {
    assert.equal(await host.read(["cat", "/proc/1/comm"]), "systemd");
    assert.equal(await host.read(["systemctl", "is-system-running"]), "running");
  }
});

labTest(
  "each host has ssh host keys, a machine id and a database cluster of its own",
  async (lab) => {
    const facts = async (host: LabHost): Promise<string[]> => [
      await host.readFile("/etc/ssh/ssh_host_ed25519_key.pub"),
      await host.readFile("/etc/machine-id"),
      await sql(host, "postgres", "SELECT system_identifier FROM pg_control_system()"),
    ];
    const [master, slave] = [await facts(lab.master), await facts(lab.slave)];
    master.forEach((fact, i) => assert.notEqual(fact, slave[i]));
  },
);

labTest("root can log in from the other host with the password", async (laboratory) => {
  const { slave } = laboratory;
  await slave.writeFile("/root/ask", `#!/bin/sh\necho ${ROOT_PASSWORD}\n`, { mode: "755" });
  const name = await slave.read([
    ...["env", "SSH_ASKPASS=/root/ask", "SSH_ASKPASS_REQUIRE=force", "ssh"],
    ...[
      "-o",
      "StrictHostKeyChecking=no",
      "-o",
      "UserKnownHostsFile=/dev/null",
      "-o",
      "LogLevel=ERROR",
    ],
    ...[laboratory.address("master"), "hostname"],
  ]);
  assert.equal(name, "master");
});

labTest(
  "a service package can be reinstalled and upgraded without a network",
  async ({ slave }) => {
    const argv = ["apt-get", "install", "-y", "--reinstall", "asterisk"];
    const { stdout } = await slave.exec(argv, { deadlineMs: 120_000 });
    assert.match(stdout, /Unpacking asterisk .* over/);
    await offerNewerAsterisk(slave, 1);
    assert.match(await upgradeAll(slave), /Unpacking asterisk /);
    assert.match(await installedVersion(slave, "asterisk"), /\+lab1$/);
    assert.match(await installedVersion(slave, "asterisk-modules"), /\+lab1$/);
  },
);

labTest(
  "a cut cable has no carrier, a mute one has; the other network goes on",
  async (laboratory) => {
    const { master, phone } = laboratory;
    const [voip, data] = [laboratory.address("master"), laboratory.address("master", "data")];
    await untilPings(phone, voip);
    await master.cut("voip");
    assert.equal(await carrier(master, "eth0"), "0");
    assert.equal(await pings(phone, voip), false);
    await untilPings(phone, data);
    await master.plug("voip");
    await untilPings(phone, voip);
    await master.mute("voip");
    assert.equal(await carrier(master, "eth0"), "1");
    assert.equal(await pings(phone, voip), false);
    await master.plug();
    await untilPings(phone, voip);
  },
);

labTest("split hosts do not see each other; phone and gateway see both", async (laboratory) => {
  const { master, slave, phone } = laboratory;
  await laboratory.split();
  assert.equal(await pings(master, laboratory.address("slave")), false);
  assert.equal(await pings(slave, laboratory.address("master", "data")), false);
  for (const name of ["master", "slave"] as const) {
    await untilPings(phone, laboratory.address(name));
  }
  await untilPings(slave, laboratory.address("gateway"));
  await laboratory.join();
  await untilPings(master, laboratory.address("slave"));
});

labTest("a frozen host's kernel answers, its processes do not", async (laboratory) => {
  const { slave, phone } = laboratory;
  await slave.freeze();
  await untilPings(phone, laboratory.address("slave"));
  const command = `exec 3<>/dev/tcp/${laboratory.address("slave")}/22; read -t 2 -u 3 line`;
  assert.notEqual((await phone.try(["bash", "-c", command])).code, 0, "its sshd greets");
  assert.equal((await slave.try(["true"])).code, 255);
  await slave.thaw();
  await slave.exec(["true"]);
  await phone.until(["bash", "-c", command], { deadlineMs: DEADLINE_MS, what: "sshd's greeting" });
});

labTest("a power cut loses what was not synchronised, and tells nobody", async (laboratory) => {
  const { master, phone } = laboratory;
  await sql(master, "postgres", "CREATE TABLE power (i int); INSERT INTO power VALUES (1)");
  await master.exec(["sh", "-c", "echo kept >/var/lib/kept; sync; echo lost >/var/lib/lost"]);
  // A connection that is open when the power goes: no FIN, no RST may come.
  const command = `exec 3<>/dev/tcp/${laboratory.address("master")}/22; read -u 3 hello
    echo open >/root/connected; read -t 5 -u 3 more; echo $? >/root/connection`;
  const connected = phone.exec(["bash", "-c", command]);
  await phone.until(["test", "-e", "/root/connected"], { deadlineMs: DEADLINE_MS, what: "ssh" });
  await master.crash();
  assert.equal(await pings(phone, laboratory.address("master")), false);
  await connected;
  assert.ok(Number(await phone.readFile("/root/connection")) > 128, "the connection was closed");
  await master.boot();
  assert.equal(await master.exists("/var/lib/kept"), true);
  const lost = await master.try(["grep", "-q", "lost", "/var/lib/lost"]);
  assert.notEqual(lost.code, 0, "what was not synchronised is there");
  await master.untilUnit("postgresql@15-main.service", "active", DEADLINE_MS);
  assert.equal(await sql(master, "postgres", "SELECT count(*) FROM power"), "1");
  assert.match(await master.journal(["--list-boots"]), / -1 /);
});

labTest("an orderly reboot brings the host back with another boot id", async ({ slave }) => {
  const before = await slave.readFile("/proc/sys/kernel/random/boot_id");
  await slave.reboot();
  assert.notEqual(await slave.readFile("/proc/sys/kernel/random/boot_id"), before);
});
