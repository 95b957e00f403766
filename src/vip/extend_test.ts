import assert from "node:assert/strict";
import { libc } from "../os/libc.ts";
import { Netns } from "../../tests/support/netns_min.ts";
import { decodeAcknowledgement, encodeLifetime, LifetimeExtender } from "./extend.ts";

libc();

const REQUEST = { index: 7, address: "10.20.0.10", label: "eth0:relais", seconds: 3 };

Deno.test("encodeLifetime() writes RTM_NEWADDR as rtnetlink(7) says", () => {
  const hex = [...encodeLifetime(REQUEST, 5)].map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
  assert.equal(
    hex,
    "4c000000" + "1400" + "0501" + "05000000" + "00000000" + // nlmsghdr: len, type, flags, seq, pid
      "02" + "20" + "00" + "00" + "07000000" + // ifaddrmsg: family, prefixlen, flags, scope, index
      "0800" + "0200" + "0a14000a" + // IFA_LOCAL
      "0800" + "0100" + "0a14000a" + // IFA_ADDRESS
      "1000" + "0300" + "657468303a72656c61697300" + // IFA_LABEL
      "1400" + "0600" + "03000000" + "03000000" + "00000000" + "00000000", // IFA_CACHEINFO
  );
});

Deno.test("decodeAcknowledgement() believes only the answer to its own request", () => {
  const answer = new Uint8Array(36);
  const view = new DataView(answer.buffer);
  view.setUint16(4, 2, true);
  view.setUint32(8, 5, true);
  assert.equal(decodeAcknowledgement(answer, 5), 0);
  assert.equal(decodeAcknowledgement(answer, 6), null);
  assert.equal(decodeAcknowledgement(answer.subarray(0, 12), 5), null);
  view.setInt32(16, -99, true);
  assert.equal(decodeAcknowledgement(answer, 5), 99);
});

Deno.test("LifetimeExtender.extend() extends a mounted address, and says when the kernel refuses", async () => {
  const netns = await Netns.open();
  await netns.ip("link", "add", "eth0", "type", "veth", "peer", "name", "wire");
  await netns.ip("link", "set", "eth0", "up");
  const lifetime = ["valid_lft", "5", "preferred_lft", "5"];
  await netns.ip(
    "address",
    "add",
    "10.20.0.10/32",
    "dev",
    "eth0",
    "label",
    "eth0:relais",
    ...lifetime,
  );
  const index = Number(/^(\d+):/.exec(await netns.ip("-o", "link", "show", "eth0"))?.[1]);
  const extender = new LifetimeExtender();
  try {
    const request = { ...REQUEST, index, seconds: 500 };
    assert.equal(netns.within(() => extender.extend(request)), true);
    const shown = await netns.ip("address", "show", "dev", "eth0");
    const seconds = Number(/valid_lft (\d+)sec/.exec(shown)?.[1]);
    assert.ok(seconds > 400 && seconds <= 500, shown);
    assert.equal(shown.match(/10\.20\.0\.10/g)?.length, 1, "one address, not two");
    assert.equal(extender.extend({ ...request, index: 4711 }), false, "no such interface");
  } finally {
    extender.close();
    await netns.close();
  }
});
