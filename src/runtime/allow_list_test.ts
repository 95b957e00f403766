import assert from "node:assert/strict";
import { isOnNetworks, isPeersAddress } from "./allow_list.ts";

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

Deno.test("isPeersAddress() takes the peer's own addresses and the VIPs, however they are written", () => {
  const networks = [
    { master: "10.20.0.11", slave: "10.20.0.12", vips: ["10.20.0.10"] },
    { master: "fd20::11", slave: "fd20::12", vips: [] },
  ];
  const master = { role: "master", networks } as const;
  for (const address of ["10.20.0.12", "10.20.0.10", "fd20::12", "fd20:0:0::12"]) {
    assert.ok(isPeersAddress(address, master), address);
  }
  for (const address of ["10.20.0.11", "10.20.0.13", "fd20::11", "", "10.20.0.12%eth0", "x"]) {
    assert.ok(!isPeersAddress(address, master), address);
  }
  assert.ok(isPeersAddress("10.20.0.11", { role: "slave", networks }));
});
