/**
 * `relais pair`: sets up, or takes back, the trust between the two hosts (docs/pairing.md).
 *
 * @module
 */

import { ConfigError, identifyRole, IdentityError, parseConfig } from "../config/load.ts";
import { TRANSPORT_DEFAULTS } from "../config/defaults.ts";
import type { Config } from "../config/types.ts";
import { systemClock } from "../os/clock.ts";
import { FileLock } from "../os/file_lock.ts";
import { selfCommand } from "../os/self.ts";
import { applyChanges, createPerformer, PairError, proveWays } from "../pairing/apply.ts";
import { contactCommand, contactKnownHosts, parsePeer } from "../pairing/first_contact.ts";
import { LocalHost } from "../pairing/local_host.ts";
import { PAIR_LOCK } from "../pairing/places.ts";
import { type BothFacts, nameOf, type Plan, planPairing, planRemoval } from "../pairing/plan.ts";
import type { HostFacts } from "../pairing/protocol.ts";
import { fingerprintOfKey } from "../pairing/public_key.ts";
import type { RemoteHost } from "../pairing/remote_host.ts";
import { DEFAULT_PATHS } from "../runtime/paths.ts";
import { ownAddresses } from "../runtime/preflight.ts";
import { canAsk, confirm, terminalAsker } from "./ask.ts";
import { checkConfig } from "./check_config.ts";
import { EXIT } from "./exit_codes.ts";
import { textOf } from "./file_text.ts";
import { logIn, peerOf, trustedHostKey } from "./pair_contact.ts";
import {
  type PairOptions,
  type Session,
  UsageError,
  whatToLookAt,
  whatToUnpin,
} from "./pair_session.ts";

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

function parsed(text: string): Config | null {
  try {
    return parseConfig(text);
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}
