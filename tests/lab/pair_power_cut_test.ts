/**
 * A host that loses its power loses what was not flushed to its disk: keys must not be among it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { askpassEnvironment, pairHosts, provisioned, untilNormal } from "./provision.ts";
import { story } from "./stage.ts";

const FILES = [
  "/etc/relais/relais.toml",
  "/etc/relais/cluster.key",
  "/etc/relais/ssh/id_ed25519",
  "/etc/relais/ssh/id_ed25519.pub",
  "/etc/relais/ssh/known_hosts",
  "/root/.ssh/authorized_keys",
];

story("pair: what it wrote is whole after a power cut of both hosts right afterwards", async ({
  laboratory,
  master,
}) => {
  const { hosts } = laboratory;
  await untilNormal(laboratory);
  const files = async (): Promise<readonly string[]> =>
    await Promise.all(hosts.map((host) => host.read(["sha256sum", ...FILES])));
  const before = await files();
  await askpassEnvironment(
    master,
    (env) => master.exec(["env", ...env, "relais", "pair", "--remove", "--yes"]),
  );
  await pairHosts(master);
  const paired = await files();
  await Promise.all(hosts.map((host) => host.crash()));
  await Promise.all(hosts.map((host) => host.boot()));
  assert.notDeepEqual(paired, before); // new keys
  assert.deepEqual(await files(), paired);
  await untilNormal(laboratory);
  await master.exec(["relais", "sync", "astdb"]);
}, { from: provisioned() });
