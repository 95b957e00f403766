import assert from "node:assert/strict";
import { isOnNetworks } from "./allow_list.ts";

const NETWORKS = [{ master: "10.20.0.11", prefix: 24 }, { master: "fd00:1::b", prefix: 64 }];

Deno.test("isOnNetworks() lets the configured networks ask, and nobody beyond", () => {
  for (const address of ["10.20.0.12", "10.20.0.254", "fd00:1::c"]) {
    assert.equal(isOnNetworks(address, NETWORKS), true, address);
  }
  for (
    const address of ["10.20.1.12", "127.0.0.1", "fd00:2::c", "", "example.org", "10.20.0.12/24"]
  ) {
    assert.equal(isOnNetworks(address, NETWORKS), false, address);
  }
  assert.equal(isOnNetworks("10.20.0.12", []), false);
});
