import assert from "node:assert/strict";
import { DATA_TOML, VOIP_TOML } from "../../tests/support/minimal_toml.ts";
import { localConfig, parseConfig } from "../config/load.ts";
import { ownAddressFor } from "./endpoints.ts";

const LOCAL = localConfig(
  parseConfig(
    `${VOIP_TOML}routes = [{ to = "default", via = "10.20.0.254" }]\n${DATA_TOML}`,
  ),
  "slave",
);

Deno.test("ownAddressFor() is this host's own address on the endpoint's network, never the VIP", () => {
  assert.equal(ownAddressFor("http://10.20.0.254:2379", LOCAL), "10.20.0.12");
  assert.equal(ownAddressFor("http://10.30.0.7:2379", LOCAL), "10.30.0.12");
});

Deno.test("ownAddressFor() beyond the gateway and by name is that of the network whose default route is the VIP's", () => {
  assert.equal(ownAddressFor("https://192.0.2.9:2379", LOCAL), "10.20.0.12");
  assert.equal(ownAddressFor("https://etcd.ville.example:2379", LOCAL), "10.20.0.12");
  assert.equal(ownAddressFor("http://[fd99::9]:2379", LOCAL), null, "no network of that family");
  const plain = { ...LOCAL, networks: LOCAL.networks.slice(1) };
  assert.equal(ownAddressFor("http://192.0.2.9:2379", plain), null, "the kernel's choice");
});
