// relais pair between two hosts that have nothing but relais, sshd and one password.
import assert from "node:assert/strict";
import type { RunResult } from "../../src/os/process.ts";
import type { HostProcess } from "../support/host_process.ts";
import { Lab } from "../support/lab.ts";
import type { TestHost } from "../support/host.ts";
import { DATA_TOML, VOIP_TOML } from "../support/minimal_toml.ts";
import { poll } from "../support/poll.ts";
import { CONFIG_FILE, KEY_FILE, RELAIS, RelaisHost } from "../support/relais_host.ts";

const DEADLINE_MS = 120_000;
const PASSWORD = "one-password";
/** Of PASSWORD, by `openssl passwd -6 -salt relais`. */
const HASH =
  "$6$relais$OKbOTbmS2xtE/9R7muFhbTLn7vNRH3xz5ezPIKMm3.ggeWO5L.TY7HRzCQC2YvcbMJtDBDDAF8W/wnFz2Py181";
const HOST_KEY = "/etc/ssh/ssh_host_ed25519_key";
const IDENTITY = "/etc/relais/ssh/id_ed25519";
const KNOWN_HOSTS = "/etc/relais/ssh/known_hosts";
const AUTHORIZED_KEYS = "/root/.ssh/authorized_keys";
const TRUST = [IDENTITY, `${IDENTITY}.pub`, KNOWN_HOSTS, AUTHORIZED_KEYS, KEY_FILE];
const ADMIN_LINE = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDadministrator admin@desk";

const CONFIG = `${VOIP_TOML}${DATA_TOML}`;

const SSHD_CONFIG = `HostKey ${HOST_KEY}
PidFile none
PermitRootLogin yes
PubkeyAuthentication yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
UsePAM no
StrictModes yes
`;

class Pair implements AsyncDisposable {
  readonly master: TestHost;
  readonly slave: TestHost;

  private constructor(readonly lab: Lab) {
    this.master = lab.master;
    this.slave = lab.slave;
  }

  /** Two hosts as an administrator finds them; the master has the configuration. */
  static async create(): Promise<Pair> {
    const pair = new Pair(await Lab.create());
    try {
      for (const host of [pair.master, pair.slave]) await prepare(host);
      await pair.master.writeFile(CONFIG_FILE, CONFIG);
      return pair;
    } catch (error) {
      await pair.lab.close();
      throw error;
    }
  }

  /** `relais pair` on the master; the password is given as ssh's own askpass gives it. */
  async run(...args: string[]): Promise<RunResult> {
    return await this.on(this.master, ...args);
  }

  async on(host: TestHost, ...args: string[]): Promise<RunResult> {
    const env = { SSH_ASKPASS: "/root/askpass", SSH_ASKPASS_REQUIRE: "force" };
    const argv = [RELAIS, "pair", "--program", RELAIS, ...args];
    return await host.try(argv, { deadlineMs: DEADLINE_MS, env });
  }

  /** `relais pair` on the master, left running. */
  start(...args: string[]): HostProcess {
    const env = { SSH_ASKPASS: "/root/askpass", SSH_ASKPASS_REQUIRE: "force" };
    const argv = [RELAIS, "pair", "--program", RELAIS, ...args];
    return this.master.spawn(argv, { logFile: "/var/log/pair.log", env });
  }

  /** What pairing may change, as text; secrets included. */
  async trust(host: TestHost): Promise<Record<string, string | null>> {
    const files: Record<string, string | null> = {};
    for (const path of [...TRUST, CONFIG_FILE]) {
      files[path] = await host.readFile(path).catch((error: unknown) => {
        if (error instanceof Deno.errors.NotFound) return null;
        throw error;
      });
    }
    return files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab.close();
  }
}

async function prepare(host: TestHost): Promise<void> {
  await new RelaisHost(host).install();
  await host.exec(["sh", "-c", `rm -f /etc/ssh/ssh_host_* && rm -rf /root/.ssh`]);
  await host.exec(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", HOST_KEY]);
  await host.exec(["usermod", "-p", HASH, "root"]);
  await host.writeFile(
    "/root/askpass",
    `#!/bin/sh\necho asked >> /root/asked\necho ${PASSWORD}\n`,
    0o700,
  );
  await host.writeFile(AUTHORIZED_KEYS, `${ADMIN_LINE}\n`, 0o600);
  await host.exec(["chmod", "700", "/root/.ssh"]);
  await host.writeFile("/etc/ssh/sshd_config", SSHD_CONFIG, 0o600);
  host.spawn(["/usr/sbin/sshd", "-D", "-e"], { logFile: "/var/log/sshd.log" });
  await poll(async () => (await host.exec(["ss", "-Hltn", "sport", "=", ":22"])).stdout !== "", {
    deadlineMs: 20_000,
    what: `sshd on ${host.name}`,
    instead: () => host.readFile("/var/log/sshd.log"),
  });
}

function ok(result: RunResult): string {
  assert.equal(result.code, 0, result.stdout + result.stderr);
  return result.stdout;
}

/** Lines that relais has put into authorized_keys. */
function peerLines(text: string | null | undefined): string[] {
  return (text ?? "").split("\n").filter((line) => line.endsWith(" relais-peer"));
}

async function fingerprint(host: TestHost): Promise<string> {
  const { stdout } = await host.exec(["ssh-keygen", "-lf", `${HOST_KEY}.pub`]);
  return stdout.split(" ")[1] ?? "";
}

async function mode(host: TestHost, path: string): Promise<string> {
  return (await host.exec(["stat", "-c", "%a %U", path])).stdout.trim();
}

Deno.test("relais pair: one command and one password make two hosts trust each other, once and for all", async () => {
  await using pair = await Pair.create();
  const { master, slave } = pair;
  const shown = ok(await pair.run("--dry-run", "--fingerprint", await fingerprint(slave)));
  assert.match(
    shown,
    /On this host \(master, master\):\n {2}make {5}\/etc\/relais\/ssh\/id_ed25519/,
  );
  assert.match(shown, /On the other host \(slave, slave\):\n {2}make /);
  assert.equal(slave.exists("/etc/relais/relais.toml"), false, "--dry-run changes nothing");
  assert.equal(master.exists(IDENTITY), false);
  await master.exec(["rm", "/root/asked"]);

  const said = ok(await pair.run("--yes"));
  assert.equal(await master.readFile("/root/asked"), "asked\n", "one password");
  assert.match(said, /^Host key of 10\.20\.0\.12: SHA256:/m);
  for (const address of ["10.20.0.12", "10.30.0.12", "10.20.0.11", "10.30.0.11"]) {
    assert.ok(said.includes(`to ${address}: works\n`), said);
  }
  assert.match(said, /systemctl restart relais on this host .* and the other host/);
  const [here, there] = [await pair.trust(master), await pair.trust(slave)];
  assert.equal(there[CONFIG_FILE], CONFIG);
  assert.equal(there[KEY_FILE], here[KEY_FILE]);
  for (const [host, peer, files] of [[master, slave, here], [slave, master, there]] as const) {
    const key = (await peer.readFile(`${IDENTITY}.pub`)).split(" ").slice(0, 2).join(" ");
    const last = peer === master ? 11 : 12;
    const from = `10.20.0.${last},10.30.0.${last},10.20.0.10`;
    const line = `command="${RELAIS} receive",from="${from}",restrict ${key} relais-peer`;
    assert.equal(files[AUTHORIZED_KEYS], `${ADMIN_LINE}\n${line}\n`);
    const hostKey = (await peer.readFile(`${HOST_KEY}.pub`)).split(" ").slice(0, 2).join(" ");
    assert.equal(files[KNOWN_HOSTS], `10.20.0.${last} ${hostKey}\n10.30.0.${last} ${hostKey}\n`);
    assert.equal(await mode(host, KEY_FILE), "600 root");
    assert.equal(await mode(host, IDENTITY), "600 root");
    assert.equal(await mode(host, "/etc/relais/ssh"), "700 root");
    assert.equal(await mode(host, CONFIG_FILE), "644 root");
  }
  const ssh = [
    "ssh",
    "-F",
    "none",
    "-i",
    IDENTITY,
    "-o",
    "IdentitiesOnly=yes",
    "-o",
    "BatchMode=yes",
  ];
  const pinned = ["-o", `UserKnownHostsFile=${KNOWN_HOSTS}`, "root@10.20.0.12"];
  const shell = await master.try([...ssh, ...pinned, "touch /root/proof"], {
    deadlineMs: DEADLINE_MS,
  });
  assert.equal(shell.code, 77, "the key may run relais receive and nothing else");
  assert.equal(slave.exists("/root/proof"), false);

  for (const host of [master, slave]) {
    assert.match(ok(await pair.on(host, "--yes")), /^Nothing to do: all is as it should be\.\n/);
  }
  assert.deepEqual([await pair.trust(master), await pair.trust(slave)], [here, there]);

  await master.exec(["rm", IDENTITY]);
  const renewed = ok(await pair.run("--yes"));
  assert.match(renewed, /one line in the place of 1 older/);
  const lines = peerLines((await pair.trust(slave))[AUTHORIZED_KEYS]);
  assert.equal(lines.length, 1);
  assert.ok(!(there[AUTHORIZED_KEYS] ?? "").includes(lines[0]!), "the new key, not the old one");

  assert.match(ok(await pair.run("--remove", "--yes")), /^Done on both hosts\./m);
  for (const host of [master, slave]) {
    const rest = await pair.trust(host);
    assert.equal(rest[AUTHORIZED_KEYS], `${ADMIN_LINE}\n`);
    assert.equal(rest[CONFIG_FILE], CONFIG, "the configuration stays");
    for (const path of [IDENTITY, `${IDENTITY}.pub`, KNOWN_HOSTS, KEY_FILE]) {
      assert.equal(rest[path], null, path);
    }
  }
  assert.match(ok(await pair.run("--remove", "--yes")), /^Nothing to do/m);
});

Deno.test("relais pair: whatever fails, both hosts are as they were", async () => {
  await using pair = await Pair.create();
  const { master, slave } = pair;
  const good = await fingerprint(slave);
  const before = [await pair.trust(master), await pair.trust(slave)];
  const refused = async (args: readonly string[], code: number, why: RegExp): Promise<string> => {
    const result = await pair.run(...args);
    assert.equal(result.code, code, result.stdout + result.stderr);
    assert.match(result.stderr, why);
    assert.deepEqual([await pair.trust(master), await pair.trust(slave)], before, args.join(" "));
    return result.stderr;
  };
  const other = `SHA256:${"x".repeat(43)}`;
  await refused([], 64, /there is no terminal to ask on: add --yes/);
  await refused(["--yes", "--fingerprint", "md5"], 64, /is no fingerprint/);
  await refused(["--yes", "--fingerprint", other], 1, /as its host key is SHA256:.*, not SHA256:x/);
  await refused(["--yes", "--local"], 64, /--local goes with --remove/);
  await refused(["--yes", "10.20.0.254"], 1, /^relais: Cannot reach 10\.20\.0\.254 port 22/m);
  await refused(["--yes", "10.20.0.11"], 1, /the peer is this host itself/);
  await refused(["--yes", "--program", "/usr/sbin/no-relais"], 1, /Cannot find relais on root@/);

  await master.exec(["sed", "-i", `s/echo ${PASSWORD}/echo wrong/`, "/root/askpass"]);
  await refused(["--yes", "--fingerprint", good], 1, /Cannot log in as root@10\.20\.0\.12/);
  await master.exec(["sed", "-i", `s/echo wrong/echo ${PASSWORD}/`, "/root/askpass"]);

  // Half-way: the slave's authorized_keys cannot be replaced, after keys and pins are made on both.
  await slave.exec(["mount", "--bind", AUTHORIZED_KEYS, AUTHORIZED_KEYS]);
  const why =
    /Cannot edit \/root\/\.ssh\/authorized_keys[^]*Nothing is changed: what had been done was taken back/;
  await refused(["--yes"], 1, why);
  await slave.exec(["umount", AUTHORIZED_KEYS]);

  // At the end: sshd on the slave reads another file, so the way does not work.
  await slave.exec(["sh", "-c", "echo AuthorizedKeysFile /etc/ssh/keys >> /etc/ssh/sshd_config"]);
  await slave.exec([
    "sh",
    "-c",
    "kill -HUP $(pidof -o %PPID /usr/sbin/sshd | tr ' ' '\\n' | sort -n | head -1)",
  ]);
  await poll(
    () => slave.readFile("/var/log/sshd.log").then((log) => log.split("listening").length > 3),
    {
      deadlineMs: 20_000,
      what: "sshd with its new configuration",
      instead: () => slave.readFile("/var/log/sshd.log"),
    },
  );
  const said = await refused(["--yes"], 1, /no way from this host \(master, master\) to the other/);
  assert.match(said, /10\.20\.0\.12: .*Permission denied[^]*Nothing is changed/);
});

Deno.test("relais pair: another configuration, another key and another host key are never overrun", async () => {
  await using pair = await Pair.create();
  const { master, slave } = pair;
  const other = CONFIG.replace('name = "siege"', 'name = "annexe"');
  await slave.writeFile(CONFIG_FILE, other);
  await slave.exec([RELAIS, "keygen"], { deadlineMs: DEADLINE_MS });
  await master.exec([RELAIS, "keygen"], { deadlineMs: DEADLINE_MS });
  const refused = await pair.run("--yes");
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /the other host has another configuration[^]*different cluster keys/,
  );
  assert.equal(await slave.readFile(CONFIG_FILE), other);

  const forced = ok(await pair.run("--yes", "--force"));
  assert.equal(await slave.readFile(CONFIG_FILE), CONFIG);
  assert.equal(await slave.readFile(KEY_FILE), await master.readFile(KEY_FILE));
  const backups = [...forced.matchAll(/^Note: what was there before is in (\S+) on/gm)];
  assert.equal(backups.length, 2, forced);
  const kept = await Promise.all(backups.map(([, path]) => slave.readFile(path!)));
  assert.ok(kept.includes(other));

  // The slave was installed anew, or somebody sits in between: not even --yes accepts that.
  await slave.exec([
    "sh",
    "-c",
    `rm ${HOST_KEY}* && ssh-keygen -q -t ed25519 -N '' -f ${HOST_KEY}`,
  ]);
  await slave.exec(["sh", "-c", "kill $(pidof -o %PPID /usr/sbin/sshd)"]);
  slave.spawn(["/usr/sbin/sshd", "-D", "-e"], { logFile: "/var/log/sshd.log" });
  const changed = await poll(async () => {
    const result = await pair.run("--yes");
    return /Cannot reach/.test(result.stderr) ? null : result;
  }, { deadlineMs: DEADLINE_MS, what: "sshd with its new key" });
  assert.equal(changed.code, 1);
  assert.match(changed.stderr, /another one is pinned in .*--fingerprint SHA256:/);
  const renewed = ok(await pair.run("--yes", "--fingerprint", await fingerprint(slave)));
  assert.match(renewed, /replaces another pinned key/);

  // The slave is gone for good.
  await slave.crash();
  const gone = await pair.run("--remove", "--yes");
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /Cannot reach 10\.20\.0\.12/);
  assert.match(ok(await pair.run("--remove", "--local", "--yes")), /^Done on this host/m);
  assert.equal(await master.readFile(AUTHORIZED_KEYS), `${ADMIN_LINE}\n`);
  for (const path of [IDENTITY, KNOWN_HOSTS, KEY_FILE]) {
    assert.equal(master.exists(path), false, path);
  }
});

Deno.test("relais pair: ended while it tries the way, by signal or by force, it leaves nothing half done", async () => {
  await using pair = await Pair.create();
  const { master, slave } = pair;
  const before = [await pair.trust(master), await pair.trust(slave)];
  // The slave is slow to answer, after everything is changed on both hosts.
  const wrapper = await slave.readFile(RELAIS);
  const slow = wrapper.replace("\n", '\n[ "$1" != receive ] || sleep 600\n');
  const untilChanged = async (): Promise<void> => {
    await poll(() => slave.exists(CONFIG_FILE), {
      deadlineMs: DEADLINE_MS,
      what: "the last change on the slave",
      instead: () => master.readFile("/var/log/pair.log"),
    });
  };
  // It goes back file by file.
  const untilAsBefore = async (): Promise<void> => {
    const whole = JSON.stringify(before[1]);
    await poll(async () => JSON.stringify(await pair.trust(slave)) === whole, {
      deadlineMs: DEADLINE_MS,
      what: "the slave as it was, by itself",
      instead: async () => JSON.stringify(await pair.trust(slave)),
    });
  };
  await slave.writeFile(RELAIS, slow, 0o755);
  const asked = pair.start("--yes");
  await untilChanged();
  await asked.signal("SIGINT");
  assert.notEqual((await asked.ended(DEADLINE_MS)).code, 0);
  assert.match(
    await master.readFile("/var/log/pair.log"),
    /was asked to end \(SIGINT\)[^]*takes its part back/,
  );
  assert.deepEqual(await pair.trust(master), before[0]);
  await untilAsBefore();

  const killed = pair.start("--yes");
  await untilChanged();
  await killed.signal("SIGKILL");
  await killed.ended(DEADLINE_MS);
  await untilAsBefore();
  // The killed one could take nothing back on its own host: the next one finds it and goes on.
  await slave.writeFile(RELAIS, wrapper, 0o755);
  const again = await poll(async () => {
    const result = await pair.run("--yes");
    return /another relais pair works/.test(result.stderr) ? null : result;
  }, { deadlineMs: DEADLINE_MS, what: "the end of what the killed one had started" });
  assert.match(ok(again), /Done\./);
  assert.equal(peerLines((await pair.trust(master))[AUTHORIZED_KEYS]).length, 1);
  assert.equal((await pair.trust(master))[KEY_FILE], (await pair.trust(slave))[KEY_FILE]);
});

Deno.test("relais pair asks on a terminal, and no is no", async () => {
  await using pair = await Pair.create();
  const { master, slave } = pair;
  const before = [await pair.trust(master), await pair.trust(slave)];
  const typed = async (lines: string): Promise<string> => {
    const argv = ["script", "-qec", `${RELAIS} pair --program ${RELAIS}`, "/dev/null"];
    const env = { SSH_ASKPASS: "/root/askpass", SSH_ASKPASS_REQUIRE: "force" };
    const { stdout } = await master.try(argv, { deadlineMs: DEADLINE_MS, stdin: lines, env });
    return stdout;
  };
  const doubted = await typed("n\n");
  assert.match(doubted, /SHA256:[^]*Is it the same\? \[y\/N\][^]*was not confirmed/);
  assert.equal(master.exists("/root/asked"), false, "no password for a host that nobody knows");
  const refused = await typed("y\nn\n");
  assert.match(refused, /Do this\? \[y\/N\][^]*nothing was changed/);
  assert.deepEqual([await pair.trust(master), await pair.trust(slave)], before);
  assert.match(await typed("y\ny\n"), /Done\./);
  assert.equal(slave.exists(CONFIG_FILE), true);
});

Deno.test("relais pair as another user, with sudo, where sudo is installed", async () => {
  await using pair = await Pair.create();
  const { master, slave } = pair;
  if (!slave.exists("/usr/bin/sudo")) {
    console.log("    not checked: sudo is not installed here");
    return;
  }
  await slave.exec([
    "useradd",
    "--create-home",
    "--shell",
    "/bin/sh",
    "--password",
    HASH,
    "carol",
  ]);
  await slave.writeFile("/etc/sudoers", "carol ALL=(ALL) ALL\n", 0o440);
  await slave.exec([
    "sed",
    "-i",
    "s/^PermitRootLogin.*/PermitRootLogin prohibit-password/",
    "/etc/ssh/sshd_config",
  ]);
  await slave.exec(["sh", "-c", "kill $(pidof -o %PPID /usr/sbin/sshd)"]);
  slave.spawn(["/usr/sbin/sshd", "-D", "-e"], { logFile: "/var/log/sshd.log" });
  const result = await poll(async () => {
    const tried = await pair.run("--yes", "carol@10.20.0.12");
    return /Cannot reach/.test(tried.stderr) ? null : tried;
  }, { deadlineMs: DEADLINE_MS, what: "sshd with its new configuration" });
  assert.match(ok(result), /Done\./);
  assert.equal(
    await master.readFile("/root/asked"),
    "asked\nasked\n",
    "ssh's and sudo's, by SSH_ASKPASS",
  );
  assert.equal(peerLines((await pair.trust(slave))[AUTHORIZED_KEYS]).length, 1);
});
