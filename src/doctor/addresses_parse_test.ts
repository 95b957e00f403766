// Outputs of networkctl 252, nmcli 1.42.4 and ps on Debian 12.
import assert from "node:assert/strict";
import {
  dhcpClientsOn,
  isManaged,
  namesAddress,
  networkFileOf,
  parseInterfacesFile,
  parseNetworkctl,
  parseNmcli,
  parseProcesses,
} from "./addresses_parse.ts";

Deno.test("parseNmcli() and isManaged() know who manages a device", () => {
  const states = parseNmcli("lo:connected (externally)\neth0:unmanaged\neth1:connected\n");
  assert.deepEqual([...states.values()].map(isManaged), [false, false, true]);
  assert.equal(parseNmcli("a\\:b:disconnected\n").get("a:b"), "disconnected");
});

Deno.test("parseNetworkctl() and networkFileOf() find the file of a managed interface", () => {
  const list = `IDX LINK TYPE     OPERATIONAL SETUP
  1 lo   loopback carrier     unmanaged
  2 eth0 ether    routable    unmanaged
  3 eth1 ether    routable    configured

3 links listed.
`;
  assert.deepEqual([...parseNetworkctl(list)], [
    ["lo", "unmanaged"],
    ["eth0", "unmanaged"],
    ["eth1", "configured"],
  ]);
  const status = "● 3: eth1                       \n                     Link File: n/a\n" +
    "                  Network File: /etc/systemd/network/data.network\n";
  assert.equal(networkFileOf(status), "/etc/systemd/network/data.network");
  assert.equal(networkFileOf("  Network File: n/a\n"), null);
});

Deno.test("parseInterfacesFile() gives the methods of each interface", () => {
  const text = `auto lo eth0 eth1
iface lo inet loopback
iface eth0 inet static
    address 10.20.0.12/24
iface eth1 inet dhcp
iface eth1 inet6 auto
`;
  assert.deepEqual(parseInterfacesFile(text).get("eth0"), ["static"]);
  assert.deepEqual(parseInterfacesFile(text).get("eth1"), ["dhcp", "auto"]);
});

Deno.test("namesAddress() never takes a part of an address for it, nor a comment", () => {
  assert.ok(namesAddress("  up ip addr add 10.20.0.10/24 dev eth0", "10.20.0.10"));
  assert.ok(namesAddress("Address=10.20.0.10/24", "10.20.0.10"));
  assert.ok(namesAddress("address1=10.20.0.10/24,10.20.0.254", "10.20.0.10"));
  assert.ok(namesAddress("address FD20:0::10", "fd20::10"));
  assert.ok(!namesAddress("address 110.20.0.10", "10.20.0.10"));
  assert.ok(!namesAddress("address 10.20.0.101", "10.20.0.10"));
  assert.ok(!namesAddress("# address 10.20.0.10", "10.20.0.10"));
});

Deno.test("dhcpClientsOn() finds a client by its interface", () => {
  const processes = parseProcesses(`      1 systemd         /sbin/init
    109 NetworkManager  /usr/sbin/NetworkManager --no-daemon
    411 dhclient        dhclient -4 -v -i -pf /run/dhclient.eth1.pid -lf /var/lib/x.leases eth1
`);
  assert.deepEqual(dhcpClientsOn("eth1", processes).map(({ pid }) => pid), [411]);
  assert.deepEqual(dhcpClientsOn("eth0", processes), []);
});
