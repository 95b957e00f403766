import assert from "node:assert/strict";
import { pinnedKeys, withoutPins, withPins } from "./known_hosts.ts";

const KEY = `ssh-ed25519 ${"A".repeat(68)}`;
const OTHER = `ssh-ed25519 ${"B".repeat(68)}`;
const peer = { addresses: ["10.20.0.12", "10.30.0.12"], port: 22 };

Deno.test("withPins() pins every address once, as ssh looks it up", () => {
  assert.equal(withPins("", { ...peer, hostKey: KEY }), `10.20.0.12 ${KEY}\n10.30.0.12 ${KEY}\n`);
  const odd = withPins("", { addresses: ["fd20::12"], port: 2222, hostKey: KEY });
  assert.equal(odd, `[fd20::12]:2222 ${KEY}\n`);
});

Deno.test("withPins() replaces other keys of these addresses and leaves other hosts alone", () => {
  const text = `backup ${OTHER}\n10.20.0.12 ${OTHER}\n10.20.0.12,pbx2 ${OTHER}`;
  const pinned = withPins(text, { ...peer, hostKey: KEY });
  assert.equal(pinned, `backup ${OTHER}\n10.20.0.12 ${KEY}\n10.30.0.12 ${KEY}\n`);
  assert.equal(withPins(pinned, { ...peer, hostKey: KEY }), pinned);
  assert.equal(withoutPins(pinned, peer), `backup ${OTHER}\n`);
});

Deno.test("pinnedKeys() lists the keys of these addresses, without doubles", () => {
  assert.deepEqual(pinnedKeys(`10.20.0.12 ${KEY}\n10.30.0.12 ${KEY} x\nz ${OTHER}\n`, peer), [KEY]);
  assert.deepEqual(pinnedKeys("", peer), []);
});
