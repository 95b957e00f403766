/**
 * `relais pair`: sets up, or takes back, the trust between the two hosts (docs/pairing.md).
 *
 * @module
 */

import { resolve } from "node:path";
import { ConfigError, identifyRole, IdentityError, parseConfig } from "../config/load.ts";
import { TRANSPORT_DEFAULTS } from "../config/defaults.ts";
import type { Config } from "../config/types.ts";
import { systemClock } from "../os/clock.ts";
import { FileLock } from "../os/file_lock.ts";
import { selfCommand } from "../os/self.ts";
import { applyChanges, createPerformer, PairError, proveWays } from "../pairing/apply.ts";
import { askpassEnvironment, AskpassServer } from "../pairing/askpass.ts";
import {
  contactCommand,
  contactKnownHosts,
  parsePeer,
  type Peer,
  scanHostKey,
} from "../pairing/first_contact.ts";
import { pinnedKeys } from "../pairing/known_hosts.ts";
import { LocalHost } from "../pairing/local_host.ts";
import { PAIR_LOCK } from "../pairing/places.ts";
import {
  addressesOf,
  type BothFacts,
  nameOf,
  type Plan,
  planPairing,
  planRemoval,
} from "../pairing/plan.ts";
import type { HostFacts } from "../pairing/protocol.ts";
import { fingerprintOfKey } from "../pairing/public_key.ts";
import { RemoteHost } from "../pairing/remote_host.ts";
import { DEFAULT_PATHS } from "../runtime/paths.ts";
import { ownAddresses } from "../runtime/preflight.ts";
import { type Asker, askPassword, canAsk, confirm, terminalAsker } from "./ask.ts";
import { checkConfig } from "./check_config.ts";
import { EXIT } from "./exit_codes.ts";

/** Options of the verb. */
export interface PairOptions {
  /** `[USER@]HOST`; null: root at the other host's first address. */
  readonly peer: string | null;
  readonly config: string;
  readonly key: string;
  /** A private key for the first contact. */
  readonly identity: string | null;
  /** What the other host's key must be. */
  readonly fingerprint: string | null;
  /** Where relais is on both hosts; null: where it is here. */
  readonly program: string | null;
  readonly force: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly remove: boolean;
  readonly local: boolean;
}

/** A mistake in the arguments, or a fact that is missing. */
class UsageError extends Error {}

/** What the parts of the verb share. */
interface Session {
  readonly options: PairOptions;
  readonly asker: Asker;
  readonly signal: AbortSignal;
  readonly here: LocalHost;
  readonly facts: HostFacts;
  /** Null: there is none here; good enough to remove. */
  readonly config: Config | null;
  readonly configText: string | null;
}

/** Runs the verb and returns the exit status. */
export async function pair(options: PairOptions, signal: AbortSignal): Promise<number> {
  let lock: FileLock | null = null;
  try {
    const why = whyNotNow(options);
    if (why !== null) throw new UsageError(why);
    if (Deno.uid() !== 0) throw new PairError("Cannot pair as only root can: use sudo");
    lock = FileLock.tryTake(PAIR_LOCK);
    if (lock === null) throw new PairError("Cannot pair as another relais pair works on this host");
    const status = await begin(options, signal);
    return typeof status === "number" ? status : await work(status);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`relais: ${error.message}`);
      return EXIT.usage;
    }
    throw error;
  } finally {
    lock?.release();
  }
}

function whyNotNow(options: PairOptions): string | null {
  const { peer, fingerprint, yes, dryRun, remove, local } = options;
  if (local && !remove) return "--local goes with --remove: pairing needs both hosts";
  if (local && peer !== null) return "--local works on this host only: name no peer";
  if (peer !== null && parsePeer(peer) === null) return `"${peer}" is not [USER@]HOST`;
  if (fingerprint !== null && !/^SHA256:[A-Za-z0-9+/]{43}$/.test(fingerprint)) {
    return `"${fingerprint}" is no fingerprint: SHA256: and 43 characters, as ssh-keygen -l prints it`;
  }
  if (canAsk() || yes || (dryRun && (fingerprint !== null || local))) return null;
  return "there is no terminal to ask on: add --yes (best with --fingerprint), or --dry-run";
}

/** Reads what this host has; a number: the exit status of a configuration that cannot be used. */
async function begin(options: PairOptions, signal: AbortSignal): Promise<Session | number> {
  const configText = await textOf(options.config);
  const config = configText === null ? null : parsed(configText);
  if (config === null && !(options.remove && configText === null)) {
    const { exitCode, stderr } = await checkConfig({ path: options.config, json: false });
    console.error(stderr.trimEnd());
    if (exitCode === EXIT.noConfig) console.error("Make it with: relais init");
    return exitCode;
  }
  if (config !== null && !options.remove) {
    if (config.replication.transport.user !== "root") {
      throw new PairError(
        `Cannot pair as replication.ssh.user is "${config.replication.transport.user}": only root's ` +
          `authorized_keys is set up by this; do it by hand for another user`,
      );
    }
    try {
      identifyRole(config, await ownAddresses());
    } catch (error) {
      if (!(error instanceof IdentityError)) throw error;
      console.error(`relais: ${error.message}`);
      return EXIT.misconfigured;
    }
  }
  const here = new LocalHost({
    clock: systemClock,
    ownAddresses,
    defaultConfig: DEFAULT_PATHS.config,
    signal,
  });
  const facts = await here.ask({ do: "inspect", config: configText, ...whatToLookAt(options) });
  return { options, asker: terminalAsker(signal), signal, here, facts, config, configText };
}

async function work(session: Session): Promise<number> {
  const { options, config, facts, here } = session;
  if (options.local) {
    const plan = planRemoval({ here: facts, there: null }, whatToUnpin(session));
    return await finish(session, { plan, there: null, thereFacts: null });
  }
  const peer = peerOf(session);
  const port = config?.replication.transport.port ?? TRANSPORT_DEFAULTS.port;
  const hostKey = await trustedHostKey(session, peer, port);
  const folder = await Deno.makeTempDir({ prefix: "relais-pair-" });
  let there: RemoteHost | null = null;
  try {
    const knownHosts = `${folder}/known_hosts`;
    await Deno.writeTextFile(knownHosts, contactKnownHosts(peer.host, port, hostKey));
    const program = options.program === null ? selfCommand([]) : [options.program];
    const command = [...program, "pair-peer"];
    const argv = contactCommand({ peer, port, knownHosts, identity: options.identity, command });
    const name = `${peer.user}@${peer.host}`;
    there = await logIn(session, { argv, name, folder, isRoot: peer.user === "root" });
    const request = {
      do: "inspect",
      config: session.configText,
      ...whatToLookAt(options),
    } as const;
    const thereFacts = await there.ask(request);
    if (thereFacts.hostKey !== null && thereFacts.hostKey !== hostKey) {
      throw new PairError(
        `Cannot pair as ${peer.host} showed the host key ${fingerprintOfKey(hostKey)} but has ` +
          `${
            fingerprintOfKey(thereFacts.hostKey)
          } in ${thereFacts.places.hostKey}: something stands ` +
          `between the hosts, or its sshd uses another key file (HostKey in sshd_config)`,
      );
    }
    const both = { here: facts, there: thereFacts };
    const plan = options.remove ? planRemoval(both, whatToUnpin(session)) : planPairing(both, {
      config: config!, // begin() has returned when there is none and it is needed
      configText: session.configText!,
      force: options.force,
    });
    if (options.remove) return await finish(session, { plan, there, thereFacts });
    const proof = { here, there };
    return await finish(session, {
      plan,
      there,
      thereFacts,
      proof: () => prove(session, proof, both),
    });
  } finally {
    await there?.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Opens the session. The password that ssh wanted is the first that sudo gets, where both want one. */
async function logIn({ signal }: Session, { argv, name, folder, isRoot }: {
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

/** Shows the plan, asks, carries it out. */
async function finish(session: Session, { plan, there, thereFacts, proof }: {
  readonly plan: Plan;
  readonly there: RemoteHost | null;
  readonly thereFacts: HostFacts | null;
  readonly proof?: () => Promise<void>;
}): Promise<number> {
  const { options, facts, here, config, asker } = session;
  if (plan.refusals.length > 0) {
    throw new PairError(`Cannot pair as:\n${plan.refusals.map((text) => `  ${text}`).join("\n")}`);
  }
  if (plan.changes.length === 0) {
    console.log("Nothing to do: all is as it should be.");
    if (!options.dryRun) await proof?.();
    return EXIT.ok;
  }
  for (const [side, its] of [["here", facts], ["there", thereFacts]] as const) {
    const lines = plan.changes.filter(({ on }) => on === side);
    if (its === null || lines.length === 0) continue;
    console.log(`On ${nameOf(side, its)}:`);
    for (const { text } of lines) console.log(`  ${text}`);
  }
  if (options.dryRun) {
    console.log("Nothing was changed (--dry-run).");
    return EXIT.ok;
  }
  if (!options.yes && !await confirm(asker, "Do this?")) {
    console.error("relais: nothing was changed");
    return EXIT.failed;
  }
  const both = { here: facts, there: thereFacts ?? facts };
  const notes = await applyChanges({ here, there }, {
    changes: plan.changes,
    perform: createPerformer({ here, there }, both, config),
    proof: proof ?? (() => Promise.resolve()),
    onChange: () => {},
  });
  for (const note of notes) console.log(`Note: ${note}.`);
  console.log(options.remove ? removed(session, there !== null) : paired(plan, both));
  return EXIT.ok;
}

function paired(plan: Plan, both: BothFacts): string {
  const renewed = (["here", "there"] as const).filter((side) =>
    plan.changes.some(({ on, change }) =>
      on === side && (change.kind === "make-key" || change.kind === "copy-key" ||
        (change.kind === "write" && change.file === "config"))
    )
  );
  const names = renewed.map((side) => nameOf(side, both[side])).join(" and ");
  return renewed.length === 0
    ? "Done."
    : `Done. The daemon reads the new files when it starts: systemctl restart relais on ${names}.`;
}

function removed({ options }: Session, isBoth: boolean): string {
  const where = isBoth ? "both hosts" : "this host; the other still trusts it if it lives";
  return `Done on ${where}. ${options.config} stays. A running daemon keeps the keys it has read until it ` +
    `ends: systemctl stop relais.`;
}

/** Tries the way in both directions and says so. */
async function prove(
  { config }: Session,
  hosts: { readonly here: LocalHost; readonly there: RemoteHost },
  both: BothFacts,
): Promise<void> {
  if (config === null) return;
  for (const line of await proveWays(hosts, both, config)) console.log(line);
}

/**
 * The key of the peer's sshd, as far as it may be believed: it is pinned already, or is the one that was
 * named, or somebody compared it.
 */
async function trustedHostKey(session: Session, peer: Peer, port: number): Promise<string> {
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

function peerOf({ options, config, facts }: Session): Peer {
  const typed = options.peer === null ? null : parsePeer(options.peer);
  if (typed !== null) return typed;
  const role = facts.role === "master" ? "slave" : "master";
  const [first] = config === null || facts.role === null ? [] : addressesOf(config, role);
  if (first === undefined) {
    throw new UsageError("which host is the peer? Name it: relais pair HOST");
  }
  return { user: "root", host: first };
}

/** The addresses that are pinned about each host; none are known without configuration and role. */
function whatToUnpin({ config, facts }: Session): Parameters<typeof planRemoval>[1] {
  const port = config?.replication.transport.port ?? TRANSPORT_DEFAULTS.port;
  if (config === null || facts.role === null) return { addresses: { here: [], there: [] }, port };
  const other = facts.role === "master" ? "slave" : "master";
  const addresses = {
    here: addressesOf(config, facts.role),
    there: addressesOf(config, other),
  };
  return { addresses, port };
}

function whatToLookAt({ config, key, program }: PairOptions): {
  readonly paths: { readonly config: string; readonly key: string };
  readonly program: string | null;
} {
  return { paths: { config: resolve(config), key: resolve(key) }, program };
}

function parsed(text: string): Config | null {
  try {
    return parseConfig(text);
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}

async function textOf(path: string): Promise<string | null> {
  try {
    const text = await Deno.readTextFile(path);
    return text.trim() === "" ? null : text;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw cause;
  }
}
