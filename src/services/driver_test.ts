import assert from "node:assert/strict";
import { parseConfig } from "../config/load.ts";
import { CommandDriver } from "./command.ts";
import { createServiceDriver } from "./driver.ts";
import { SystemdDriver } from "./systemd.ts";

const HEAD = `
[cluster]
name = "test"
[[networks]]
name = "voip"
master = "10.20.0.11"
slave = "10.20.0.12"
prefix = 24
`;

Deno.test("createServiceDriver() makes the driver of the configuration", () => {
  const systemd = createServiceDriver(
    parseConfig(`${HEAD}[services]\nunits = ["a.service", "b.service"]`).services,
  );
  assert.ok(systemd instanceof SystemdDriver);
  assert.deepEqual(systemd.names, ["a.service", "b.service"]);
  const command = createServiceDriver(
    parseConfig(
      `${HEAD}[services]\ndriver = "command"\nstart = ["/bin/a"]\nstop = ["/bin/b"]\nstatus = ["/bin/c"]`,
    ).services,
  );
  assert.ok(command instanceof CommandDriver);
});

Deno.test("createServiceDriver() without services: running() follows start() and stop()", async () => {
  const { services } = parseConfig(HEAD);
  const driver = createServiceDriver(services);
  assert.deepEqual(driver.names, []);
  assert.equal(await driver.running(), "none");
  await driver.start();
  assert.equal(await driver.running(), "all");
  await driver.stop();
  assert.equal(await driver.running(), "none");
  assert.equal(await createServiceDriver(services, { adopted: true }).running(), "all");
});
