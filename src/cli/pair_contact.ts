/**
 * The first contact of `relais pair`: which host, by which key it is known, and the session with it.
 *
 * @module
 */

import { systemClock } from "../os/clock.ts";
import { PairError } from "../pairing/apply.ts";
import { askpassEnvironment, AskpassServer } from "../pairing/askpass.ts";
import { parsePeer, type Peer, scanHostKey } from "../pairing/first_contact.ts";
import { pinnedKeys } from "../pairing/known_hosts.ts";
import { addressesOf } from "../pairing/plan.ts";
import { fingerprintOfKey } from "../pairing/public_key.ts";
import { RemoteHost } from "../pairing/remote_host.ts";
import { askPassword, canAsk, confirm } from "./ask.ts";
import { type Session, UsageError } from "./pair_session.ts";

/**
 * The key of the peer's sshd, as far as it may be believed: it is pinned already, or is the one that was
 * named, or somebody compared it.
 */
export async function trustedHostKey(session: Session, peer: Peer, port: number): Promise<string> {
  const { options, facts, config, asker } = session;
  const hostKey = await scanHostKey(peer.host, port);
  const found = fingerprintOfKey(hostKey);
  if (options.fingerprint !== null) {
    if (options.fingerprint === found) return hostKey;
    throw new PairError(
      `Cannot trust ${peer.host} as its host key is ${found}, not ${options.fingerprint}`,
    );
  }
  const others = config === null
    ? []
    : (["master", "slave"] as const).filter((role) => role !== facts.role).flatMap((role) =>
      addressesOf(config, role)
    );
  const pinned = pinnedKeys(facts.knownHosts, { addresses: [...others, peer.host], port });
  if (pinned.length === 1 && pinned[0] === hostKey) return hostKey;
  if (pinned.length > 0) {
    throw new PairError(
      `Cannot trust ${peer.host} as its host key is ${found}, and another one is pinned in ` +
        `${facts.places.knownHosts}. If the host was installed anew, compare the fingerprint there ` +
        `(ssh-keygen -lf ${facts.places.hostKey}), then say --fingerprint ${found}`,
    );
  }
  console.log(`Host key of ${peer.host}: ${found} (ed25519)`);
  console.log(`Compare with: ssh-keygen -lf ${facts.places.hostKey} there.`);
  if (options.yes || await confirm(asker, "Is it the same?")) return hostKey;
  throw new PairError(`Cannot pair as the host key of ${peer.host} was not confirmed`);
}

/**
 * Who is asked.
 *
 * @throws {UsageError} when nobody is named and the configuration does not say it
 */
export function peerOf({ options, config, facts }: Session): Peer {
  const typed = options.peer === null ? null : parsePeer(options.peer);
  if (typed !== null) return typed;
  const role = facts.role === "master" ? "slave" : "master";
  const [first] = config === null || facts.role === null ? [] : addressesOf(config, role);
  if (first === undefined) {
    throw new UsageError("which host is the peer? Name it: relais pair HOST");
  }
  return { user: "root", host: first };
}

/** Opens the session. The password that ssh wanted is the first that sudo gets, where both want one. */
export async function logIn({ signal }: Session, { argv, name, folder, isRoot }: {
  readonly argv: readonly string[];
  readonly name: string;
  /** Of this process only. */
  readonly folder: string;
  readonly isRoot: boolean;
}): Promise<RemoteHost> {
  const path = `${folder}/askpass`;
  let typed: string | null = null;
  // ssh itself can ask for one password. And only the compiled program can be started by ssh.
  const isForced = Deno.env.get("SSH_ASKPASS_REQUIRE") === "force";
  const isOurs = !isRoot && Deno.build.standalone && canAsk() && !isForced;
  const server = !isOurs ? null : new AskpassServer(path, async (question) => {
    const answer = await askPassword(question, signal);
    // The passphrase of a key is not the password of the user.
    if (/password/i.test(question)) typed = answer;
    return answer;
  });
  try {
    return await RemoteHost.open(argv, {
      clock: systemClock,
      signal,
      name,
      env: server === null ? {} : askpassEnvironment(Deno.execPath(), path),
      askPassword: async () => {
        const known = typed;
        typed = null; // If it was wrong, sudo asks again, and so do we.
        return known ?? await askPassword(`sudo password of ${name}: `, signal);
      },
    });
  } finally {
    await server?.close();
  }
}
