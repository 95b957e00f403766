import assert from "node:assert/strict";
import { parseAsteriskConf, parseAsteriskVersion } from "./asterisk_conf.ts";

Deno.test("parseAsteriskConf() reads systemname of [options] only, without comments", () => {
  const text = `[directories](!)
systemname = wrong
[options]
;systemname = my_system_name\t; Prefix uniqueid with a system name for
systemname => xivo ; the same on both
#tryinclude "asterisk.d/*.conf"
`;
  assert.deepEqual(parseAsteriskConf(text), {
    systemName: "xivo",
    auto: false,
    includes: ["asterisk.d/*.conf"],
  });
  assert.equal(parseAsteriskConf("[options]\nautosystemname = yes\n").auto, true);
  assert.equal(parseAsteriskConf("[options]\n;autosystemname = yes\n").auto, false);
});

Deno.test("parseAsteriskVersion() reads what asterisk -V prints", () => {
  assert.equal(
    parseAsteriskVersion("Asterisk 16.28.0~dfsg-0+deb11u10\n"),
    "16.28.0~dfsg-0+deb11u10",
  );
  assert.equal(parseAsteriskVersion("asterisk: error"), null);
});

Deno.test("parseAsteriskConf() reads includes with and without quotes, whatever the spaces", () => {
  const text = `#include one.conf\n#include   <two.conf>\n#include${
    " ".repeat(9)
  }"three four.conf"\n`;
  assert.deepEqual(parseAsteriskConf(text).includes, ["one.conf", "two.conf", "three four.conf"]);
});
