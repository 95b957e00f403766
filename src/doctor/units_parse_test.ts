import assert from "node:assert/strict";
import { parseShow } from "./units_parse.ts";

// systemctl 252 prints the properties in its own order.
const SHOWN = `WatchdogUSec=0
Id=asterisk.service
LoadState=loaded
ActiveState=active
DropInPaths=/etc/systemd/system/asterisk.service.d/50-relais-gate.conf
UnitFileState=enabled

WatchdogUSec=infinity
Id=nonsense.service
LoadState=not-found
ActiveState=inactive
DropInPaths=
UnitFileState=
`;

Deno.test("parseShow() reads units with their drop-ins", () => {
  const [asterisk, nonsense] = parseShow(SHOWN, ["asterisk.service", "nonsense.service"]);
  assert.deepEqual(asterisk?.dropIns, [
    "/etc/systemd/system/asterisk.service.d/50-relais-gate.conf",
  ]);
  assert.deepEqual([asterisk?.unitFileState, asterisk?.watchdog], ["enabled", false]);
  assert.deepEqual([nonsense?.loadState, nonsense?.watchdog], ["not-found", false]);
  assert.throws(() => parseShow(SHOWN, ["asterisk.service"]), RangeError);
});
