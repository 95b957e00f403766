/**
 * What `relais pair` leaves on two hosts, made by hand: a key pair per host, pinned host keys, a forced
 * command; and an sshd, which knows nothing else.
 *
 * @module
 */

import type { HostProcess } from "./host_process.ts";
import type { TestHost } from "./host.ts";
import { poll } from "./poll.ts";

const FOLDER = "/etc/relais/ssh";
const HOST_KEY = "/etc/relais/ssh/sshd_host_key";
const CONFIG_FILE = "/etc/relais/ssh/sshd_config";

const SSHD_CONFIG = `# only for relais
HostKey ${HOST_KEY}
PidFile none
PermitRootLogin forced-commands-only
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
AuthorizedKeysFile ${FOLDER}/authorized_keys
StrictModes yes
AllowUsers root
`;

/** Makes the keys of both hosts and tells each about the other's. */
export async function pairSsh(
  hosts: readonly [TestHost, TestHost],
  options: { readonly forcedCommand: string },
): Promise<void> {
  const keys = await Promise.all(hosts.map(makeKeys));
  for (const [i, host] of hosts.entries()) {
    const peer = hosts[1 - i]!;
    const peerKeys = keys[1 - i]!;
    const authorized = `command="${options.forcedCommand}",restrict ${peerKeys.user}`;
    await host.writeFile(`${FOLDER}/authorized_keys`, authorized, 0o600);
    const addresses = peer.interfaces.flatMap((each) => each.addresses)
      .map((address) => address.split("/")[0]!);
    const known = addresses.map((address) => `${address} ${peerKeys.host}`);
    await host.writeFile(`${FOLDER}/known_hosts`, known.join(""), 0o600);
  }
}

async function makeKeys(host: TestHost): Promise<{ readonly user: string; readonly host: string }> {
  await host.writeFile(CONFIG_FILE, SSHD_CONFIG, 0o600);
  // An account with a locked password ("!" in shadow) is refused without PAM, also by key.
  await host.exec(["usermod", "-p", "*", "root"]);
  const paths = [`${FOLDER}/id_ed25519`, HOST_KEY];
  for (const path of paths) {
    const named = ["-C", `relais@${host.name}`, "-N", "", "-q"];
    await host.exec(["ssh-keygen", "-t", "ed25519", ...named, "-f", path]);
  }
  const [user = "", key = ""] = await Promise.all(
    paths.map((path) => host.readFile(`${path}.pub`)),
  );
  return { user, host: key };
}

/** Starts sshd, as the host's boot would; returns when its port is open. */
export async function startSshd(host: TestHost): Promise<HostProcess> {
  const argv = ["/usr/sbin/sshd", "-D", "-e", "-f", CONFIG_FILE];
  const process = host.spawn(argv, { logFile: "/var/log/sshd.log" });
  await poll(async () => (await host.exec(["ss", "-Hltn", "sport", "=", ":22"])).stdout !== "", {
    deadlineMs: 10_000,
    what: `sshd on ${host.name}`,
    instead: () => host.readFile("/var/log/sshd.log"),
  });
  return process;
}
