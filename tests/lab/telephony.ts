/**
 * A small Asterisk on the laboratory's hosts: two phones that can call each other. It is bound to all
 * addresses, as a XiVO's is: that it answers the phones from the VIP is the work of relais' routes.
 *
 * @module
 */

import type { LabHost } from "./lab_host.ts";
import type { Laboratory } from "./laboratory.ts";

/** The phones' numbers; a phone's password is `lab` and its number. */
export const EXTENSIONS = ["1001", "1002"] as const;
/** A phone's number. */
export type Extension = typeof EXTENSIONS[number];

/** Password of a phone. */
export function passwordOf(extension: string): string {
  return `lab${extension}`;
}

/** Time that Asterisk may take to start on a busy machine, in milliseconds. */
const START_DEADLINE_MS = 60_000;

/** Writes Asterisk's configuration on both hosts and leaves it stopped and not started at boot. */
export async function configureAsterisk(laboratory: Laboratory): Promise<void> {
  await Promise.all(laboratory.hosts.map(async (host) => {
    await host.exec(["systemctl", "disable", "--now", "asterisk.service"]);
    const asterisk = { mode: "640", owner: "root:asterisk" };
    await host.writeFile("/etc/asterisk/pjsip.conf", pjsipConf(), asterisk);
    await host.writeFile("/etc/asterisk/extensions.conf", EXTENSIONS_CONF, asterisk);
    // Contacts of TCP phones are dropped at a start under another name; registrations of both hosts are
    // one set of data, so they have one name.
    await host.exec([
      "sed",
      "-i",
      "s/^;*systemname = .*/systemname = lab/",
      "/etc/asterisk/asterisk.conf",
    ]);
  }));
}

/** Starts Asterisk by hand and waits until it has booted. */
export async function startAsterisk(host: LabHost): Promise<void> {
  await host.exec(["systemctl", "start", "asterisk.service"]);
  await host.until(["asterisk", "-rx", "core waitfullybooted"], {
    deadlineMs: START_DEADLINE_MS,
    what: `Asterisk of ${host.name}`,
    says: /fully booted/,
  });
}

/** What Asterisk prints for a command of its console. */
export async function asterisk(host: LabHost, command: string): Promise<string> {
  return await host.read(["asterisk", "-rx", command]);
}

/** Contact addresses that Asterisk has for a phone: `sip:1001@10.20.0.50:5071`. */
export async function contacts(host: LabHost, extension: Extension): Promise<string[]> {
  const text = await asterisk(host, "pjsip show contacts");
  return [...text.matchAll(/Contact: +(\d+)\/(sip:\S+)/g)]
    .filter(([, aor]) => aor === extension).map(([, , uri]) => uri!);
}

const EXTENSIONS_CONF = `[default]
exten => _10XX,1,Dial(PJSIP/\${EXTEN},20)
 same => n,Hangup()
`;

function pjsipConf(): string {
  const transport = "[voip]\ntype=transport\nprotocol=udp\nbind=0.0.0.0:5060\n";
  return [transport, ...EXTENSIONS.map(endpoint)].join("\n");
}

function endpoint(extension: Extension): string {
  return `[${extension}]
type=endpoint
transport=voip
context=default
disallow=all
allow=ulaw
direct_media=no
auth=${extension}
aors=${extension}

[${extension}]
type=auth
auth_type=userpass
username=${extension}
password=${passwordOf(extension)}

[${extension}]
type=aor
max_contacts=1
remove_existing=yes
`;
}
