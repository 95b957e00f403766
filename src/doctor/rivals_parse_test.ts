import assert from "node:assert/strict";
import { parseProcesses } from "./addresses_parse.ts";
import { haJobsOf, nodeTypeOf, rivalsAmong } from "./rivals_parse.ts";

Deno.test("rivalsAmong() names each rival once", () => {
  const processes = parseProcesses(
    "  10 keepalived /usr/sbin/keepalived -n\n" +
      "  11 keepalived /usr/sbin/keepalived -n\n  12 asterisk /usr/sbin/asterisk\n",
  );
  assert.deepEqual(rivalsAmong(processes), ["keepalived"]);
});

Deno.test("nodeTypeOf() reads XiVO's ha.conf", () => {
  assert.equal(nodeTypeOf('{"node_type": "master", "remote_address": "10.20.0.12"}'), "master");
  assert.equal(nodeTypeOf("node_type=master"), null);
});

Deno.test("haJobsOf() finds the jobs of XiVO's and Wazo's HA, not their comments", () => {
  const jobs = haJobsOf(
    '# * * * * * root /usr/sbin/xivo-check-master-status 10.20.0.11\nMAILTO=""\n' +
      "0 * * * * root /usr/sbin/xivo-master-slave-db-replication 10.20.0.12 >/dev/null\n" +
      "* * * * * root wazo-check-main-status 10.20.0.11\n0 3 * * * root xivo-backup\n",
  );
  assert.equal(jobs.length, 2);
});
