/**
 * `make lab`: two Debian hosts with PostgreSQL, Asterisk, relais from its package, and registered phones,
 * left running.
 *
 * @module
 */

import { REPOSITORY } from "../support/shown_paths.ts";
import { Laboratory } from "./laboratory.ts";
import { provision } from "./provision.ts";
import { SipPhone } from "./sip_phone.ts";
import { EXTENSIONS } from "./telephony.ts";

const DEFAULT_DIRECTORY = "/var/tmp/relais-lab"; // that of the script, too

const directory = Deno.env.get("LAB_DIR") ?? DEFAULT_DIRECTORY;
console.log("Booting the laboratory (the first build of its hosts takes a minute or two) …");
const laboratory = await Laboratory.open({ directory, stays: true });
console.log("Installing relais from its repository, pairing the hosts …");
await provision(laboratory);
for (const extension of EXTENSIONS) {
  await using phone = await SipPhone.create(laboratory, extension);
  await phone.register();
}

const lab = directory === DEFAULT_DIRECTORY
  ? `${REPOSITORY}/tests/lab/lab`
  : `LAB_DIR=${directory} ${REPOSITORY}/tests/lab/lab`;
console.log(`
Two Debian hosts are running: master ${laboratory.address("master")}, slave ${
  laboratory.address("slave")
}, VIP ${laboratory.vip()}. The master serves; phones ${EXTENSIONS.join(" and ")} are registered.

Look:
  ${lab} exec master relais status
  ${lab} exec slave relais doctor
  ${lab} exec master asterisk -rx "pjsip show contacts"
  ${lab} exec master bash        # a shell on a host (or: slave, phone)
  ${lab} net phone ping ${laboratory.vip()}
Break:
  ${lab} crash master            # a power cut; boot master: power again
  ${lab} cut master eth0         # a cable pulled; plug master eth0
  ${lab} split                   # the hosts do not see each other; join
  ${lab} freeze master           # everything stands still; thaw master
  ${lab} exec master relais switchover
  ${lab} help                    # all of it

It stays until: make lab-down`);
