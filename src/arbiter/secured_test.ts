// An etcd with TLS, client certificates and users, as etcd's own pages set it up (docs/arbiter.md).
import assert from "node:assert/strict";
import { arbiterConfig } from "../../tests/support/arbiter_config.ts";
import { LocalEtcd } from "../../tests/support/local_etcd.ts";
import type { ArbiterConfig } from "../config/types.ts";
import { systemClock as clock } from "../os/clock.ts";
import { Endpoints } from "./endpoints.ts";
import { RightKeeper } from "./right_keeper.ts";

/** Long enough to be refused some times. */
const REFUSED_MS = 4000;

/** Sets out to serve, once; the right, or why not. Gives it back. */
async function tryToServe(
  config: ArbiterConfig,
  role: "master" | "slave",
  patienceMs = 30_000,
): Promise<string> {
  const keeper = new RightKeeper({
    config,
    cluster: new Endpoints(config, null),
    clock,
    role,
    host: "127.0.0.1",
    instanceId: `${role}-1`,
    deadAfterMs: 500,
  });
  try {
    const signal = AbortSignal.timeout(patienceMs);
    await keeper.acquire({ mayHold: () => false, patient: false, signal });
    const had = keeper.evidence(clock.nowMs()).right;
    await keeper.release();
    return had;
  } catch (error) {
    return (error as Error).message;
  } finally {
    keeper.close();
  }
}

Deno.test("an etcd with TLS that asks for client certificates: with ours the right is had, without it or with the wrong authority not", async () => {
  await using etcd = await LocalEtcd.start(1, { tls: true });
  const { ca, clientCert, clientKey } = etcd.certificates!;
  const config = arbiterConfig(etcd.urls, { ca, cert: clientCert, key: clientKey });
  assert.equal(await tryToServe(config, "master"), "mine");
  assert.equal(await tryToServe(config, "slave"), "mine", "it was given back");
  assert.match(
    await tryToServe({ ...config, cert: null, key: null }, "slave", REFUSED_MS),
    /does it ask for a client certificate/,
  );
  assert.match(
    await tryToServe({ ...config, ca: null }, "slave", REFUSED_MS),
    /ertificate|issuer/i,
  );
  const cluster = new Endpoints(config, null);
  const [said] = await cluster.each();
  cluster.close();
  assert.match(said!.text, /^etcd 3\./);
});

Deno.test("an etcd with users: one who may write below /relais/ is enough; a wrong password says so; a token that has ended is renewed", async () => {
  await using etcd = await LocalEtcd.start();
  await etcd.ctl("user", "add", "root:of-the-root");
  await etcd.ctl("user", "add", "relais:of-relais");
  await etcd.ctl("role", "add", "relais");
  await etcd.ctl("role", "grant-permission", "relais", "--prefix=true", "readwrite", "/relais/");
  await etcd.ctl("user", "grant-role", "relais", "relais");
  await etcd.ctl("user", "grant-role", "root", "root");
  await etcd.ctl("auth", "enable");
  const passwordFile = `${etcd.folder}/password`;
  await Deno.writeTextFile(passwordFile, "of-relais\n", { mode: 0o600 });
  const config = arbiterConfig(etcd.urls, { username: "relais", passwordFile });
  assert.equal(await tryToServe(config, "master"), "mine");

  const nobody = await tryToServe(
    { ...config, username: null, passwordFile: null },
    "slave",
    REFUSED_MS,
  );
  assert.match(nobody, /user name is empty/);
  await Deno.writeTextFile(`${etcd.folder}/wrong`, "guessed\n");
  const wrong = await tryToServe(
    { ...config, passwordFile: `${etcd.folder}/wrong` },
    "slave",
    REFUSED_MS,
  );
  assert.match(wrong, /authentication failed/);
  const elsewhere = await tryToServe(
    { ...config, rightKey: "/other/test/serve" },
    "slave",
    REFUSED_MS,
  );
  assert.match(elsewhere, /permission denied/);

  // Tokens are in the memory of the etcd that gave them: after its restart none is known.
  const cluster = new Endpoints(config, null);
  const holds = async (): Promise<boolean> => (await cluster.attempt(async (one, signal) => {
    const { leaseId } = await one.grant(config.ttlMs, signal);
    const done = await one.claim(
      { key: config.rightKey, value: "test", leaseId, expected: null },
      signal,
    );
    await one.revoke(leaseId, signal);
    return done;
  }, { patience: 10 }));
  try {
    assert.equal(await holds(), true);
    await etcd.kill();
    await etcd.restart();
    assert.equal(await holds(), true);
    assert.deepEqual((await cluster.each()).map(({ answers }) => answers), [true]);
  } finally {
    cluster.close();
  }
});
