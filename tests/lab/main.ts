/**
 * `make lab`: two Debian hosts with PostgreSQL, Asterisk, relais and a registered phone, left running.
 *
 * @module
 */

import { REPOSITORY } from "../support/shown_paths.ts";
import { Laboratory } from "./laboratory.ts";
import { provision } from "./provision.ts";

const DEFAULT_DIRECTORY = "/var/tmp/relais-lab"; // that of the script, too

const directory = Deno.env.get("LAB_DIR") ?? DEFAULT_DIRECTORY;
console.log("Booting the laboratory (the first build of its hosts takes a minute or two) …");
const laboratory = await Laboratory.open({ directory, stays: true });
console.log("Preparing the hosts …");
await provision(laboratory);

const lab = directory === DEFAULT_DIRECTORY
  ? `${REPOSITORY}/tests/lab/lab`
  : `LAB_DIR=${directory} ${REPOSITORY}/tests/lab/lab`;
console.log(`
Two Debian hosts are running: master ${laboratory.address("master")}, slave ${
  laboratory.address("slave")
}, VIP ${laboratory.vip()}.

  ${lab} exec master bash        # a shell on a host (or: slave, phone)
  ${lab} crash master            # a power cut; boot master: power again
  ${lab} cut master eth0         # a cable pulled; plug master eth0
  ${lab} split                   # the hosts do not see each other; join
  ${lab} freeze master           # everything stands still; thaw
  ${lab} net phone ping ${laboratory.vip()}
  ${lab} help                    # all of it

It stays until: make lab-down`);
