import assert from "node:assert/strict";
import { parseConfig } from "../../src/config/load.ts";
import { sshCommand } from "../../src/replication/ssh_arguments.ts";
import { createPostgres, sql, startPostgres } from "./host_postgres.ts";
import { pairSsh, startSshd } from "./host_ssh.ts";
import { Lab } from "./lab.ts";
import { relaisToml } from "./relais_config.ts";

Deno.test("relaisToml() is a configuration that relais takes, in every variant", () => {
  for (
    const options of [
      {},
      { database: true, ipv6: true },
      { vips: false, networks: ["voip"], data: false },
      { heartbeat: ['preset = "fast"'], failback: ['mode = "manual"'] },
    ]
  ) {
    const config = parseConfig(relaisToml(options));
    assert.equal(config.networks.length > 0, true);
  }
});

Deno.test("startPostgres() runs a server per host, whose data survive a power cut", async () => {
  await using lab = await Lab.create({ networks: ["voip"] });
  const { master } = lab;
  await createPostgres(master);
  await startPostgres(master);
  await sql(master, { text: "CREATE TABLE t(x int); INSERT INTO t VALUES (7);" });
  await master.crash();
  await master.boot();
  await startPostgres(master);
  assert.equal(await sql(master, { text: "SELECT x FROM t;" }), "7");
});

Deno.test("pairSsh() lets each host run the forced command on the other, and nothing else", async () => {
  await using lab = await Lab.create({ networks: ["voip"] });
  await lab.slave.writeFile(
    "/usr/local/bin/forced",
    '#!/bin/sh\necho "asked: $SSH_ORIGINAL_COMMAND"\n',
    0o755,
  );
  await pairSsh([lab.master, lab.slave], { forcedCommand: "/usr/local/bin/forced" });
  await startSshd(lab.slave);
  const ssh = sshCommand({
    transport: {
      user: "root",
      port: 22,
      identityFile: "/etc/relais/ssh/id_ed25519",
      knownHostsFile: "/etc/relais/ssh/known_hosts",
    },
    runDir: "/run",
    address: "10.20.0.12",
    verb: "id -u",
  });
  const { stdout } = await lab.master.exec(ssh);
  assert.equal(stdout, "asked: id -u\n");
});
