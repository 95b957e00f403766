import assert from "node:assert/strict";
import { isRestartJob } from "./restart_request.ts";

Deno.test("isRestartJob() sees a restart of our unit in systemctl's list of jobs", () => {
  assert.equal(isRestartJob("1234 relais.service restart running\n"), true);
  assert.equal(
    isRestartJob(" 7 other.service stop waiting\n 8 relais.service try-restart waiting"),
    true,
  );
});

Deno.test("isRestartJob() takes a stop, other units and no jobs at all for no restart", () => {
  assert.equal(isRestartJob("1234 relais.service stop running\n"), false);
  assert.equal(
    isRestartJob("1 xrelais.service restart running\n2 relais.service.d restart running"),
    false,
  );
  assert.equal(isRestartJob("9 asterisk.service restart waiting"), false);
  assert.equal(isRestartJob(""), false);
  assert.equal(isRestartJob("No jobs running.\n"), false);
});
