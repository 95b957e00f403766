import assert from "node:assert/strict";
import { contactCommand, parsePeer } from "./first_contact.ts";

Deno.test("parsePeer() takes [USER@]HOST and nothing that ssh could take for an option", () => {
  assert.deepEqual(parsePeer("10.20.0.12"), { user: "root", host: "10.20.0.12" });
  assert.deepEqual(parsePeer("admin@pbx2.example.org"), {
    user: "admin",
    host: "pbx2.example.org",
  });
  assert.deepEqual(parsePeer("root@fd20::12"), { user: "root", host: "fd20::12" });
  for (
    const wrong of ["", "-oProxyCommand=x", "a@-x", "a@b@c", "a b", "$(x)", "Root@x", "@x", "x@"]
  ) {
    assert.equal(parsePeer(wrong), null, wrong);
  }
});

Deno.test("contactCommand() reads nobody's ssh configuration and believes one key only", () => {
  const peer = { user: "admin", host: "10.20.0.12" };
  const options = { peer, port: 2222, knownHosts: "/tmp/k", identity: "/root/id" };
  const argv = contactCommand({ ...options, command: ["/usr/sbin/relais", "pair-peer"] });
  const text = argv.join(" ");
  assert.ok(text.startsWith("ssh -F none -T -p 2222 -l admin -i /root/id "), text);
  for (
    const setting of ["UserKnownHostsFile=/tmp/k", "StrictHostKeyChecking=yes", "ControlPath=none"]
  ) {
    assert.ok(argv.includes(setting), setting);
  }
  const last = "sudo -S -p relais:sudo:password: -- /usr/sbin/relais pair-peer";
  assert.deepEqual(argv.slice(-3), ["--", "10.20.0.12", last]);
  assert.throws(() => contactCommand({ ...options, command: ["relais; reboot"] }), /Cannot run/);
});
