import assert from "node:assert/strict";
import { asBoolean, lastValue } from "./ini.ts";

Deno.test("lastValue() takes the last assignment in the section, as systemd-analyze cat-config prints files", () => {
  const text = `# /etc/systemd/networkd.conf
[Network]
#ManageForeignRoutes=yes
[DHCPv4]
ManageForeignRoutes=yes
# /etc/systemd/networkd.conf.d/a.conf
[Network]
ManageForeignRoutes=no
`;
  assert.equal(lastValue(text, "Network", "ManageForeignRoutes"), "no");
  assert.equal(lastValue(text, "Network", "KeepConfiguration"), null);
  assert.equal(lastValue("[A]\nx=1\nx=\n", "A", "x"), null);
});

Deno.test("asBoolean() knows systemd's words", () => {
  assert.deepEqual(["yes", "0", "static"].map(asBoolean), [true, false, null]);
});
