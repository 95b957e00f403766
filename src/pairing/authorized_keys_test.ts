import assert from "node:assert/strict";
import { peerLine, withoutPeerLines, withPeerLine } from "./authorized_keys.ts";

const KEY = `ssh-ed25519 ${"A".repeat(68)}`;
const OTHER_KEY = `ssh-ed25519 ${"B".repeat(68)}`;
const LINE = peerLine({
  publicKey: KEY,
  command: ["/usr/sbin/relais", "receive"],
  addresses: ["10.20.0.12", "fd20::12"],
});
const ADMIN = `from="10.0.0.0/8" ssh-rsa ${"C".repeat(300)} admin@desk`;

Deno.test("peerLine() restricts the key to one command and to the peer's addresses", () => {
  assert.equal(
    LINE,
    `command="/usr/sbin/relais receive",from="10.20.0.12,fd20::12",restrict ${KEY} relais-peer`,
  );
});

Deno.test("peerLine() refuses words that a shell could read otherwise", () => {
  for (const word of ["a b", 'a"b', "a;b", "$HOME", "", "a\nb"]) {
    const command = ["/usr/sbin/relais", word];
    assert.throws(
      () => peerLine({ publicKey: KEY, command, addresses: [] }),
      /Cannot let the peer/,
    );
  }
});

Deno.test("withPeerLine() adds the line once, and leaves the file alone when it is there", () => {
  assert.equal(withPeerLine("", LINE), `${LINE}\n`);
  assert.equal(withPeerLine(ADMIN, LINE), `${ADMIN}\n${LINE}\n`, "a last line without line feed");
  const good = `# comment\n${LINE}\n\n${ADMIN}\n`;
  assert.equal(withPeerLine(good, LINE), good);
});

Deno.test("withPeerLine() replaces older lines of relais and any other line of the same key", () => {
  const old = LINE.replace(KEY, OTHER_KEY);
  const byHand = `${KEY} root@pbx2`;
  const text = `${byHand}\n${ADMIN}\n${old}\n${LINE}\n`;
  assert.equal(withPeerLine(text, LINE), `${ADMIN}\n${LINE}\n`);
});

Deno.test("withoutPeerLines() keeps comments, blank lines and what only looks alike, byte by byte", () => {
  const rest = `#${LINE}\n\n${OTHER_KEY} my relais-peer-backup\nnonsense\n${ADMIN}\n`;
  assert.equal(withoutPeerLines(`${LINE}\n${rest}`, null), rest);
  assert.equal(withoutPeerLines(rest, KEY), rest);
});
