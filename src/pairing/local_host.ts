/**
 * This host's part of a pairing: looks, changes files so that it can be taken back, tries the way to the
 * peer. `relais pair` uses it directly, `relais pair-peer` on the other host lets it be used through ssh.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { buildInfo } from "../build_info.ts";
import { TRANSPORT_DEFAULTS } from "../config/defaults.ts";
import { identifyRole, parseConfig } from "../config/load.ts";
import type { Config } from "../config/types.ts";
import type { Role } from "../core/types.ts";
import { nextKeyPath, readKeys } from "../heartbeat/key.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { readKernelFile } from "../os/kernel_file.ts";
import { run, runOk } from "../os/process.ts";
import { selfCommand } from "../os/self.ts";
import { oldName, syncPath } from "../os/durable_file.ts";
import { MAX_AUTHORIZED_KEYS_BYTES } from "./authorized_keys.ts";
import { FileChanges } from "./file_changes.ts";
import { foldersOf, type Places, placesOf, type SYSTEM_PLACES } from "./places.ts";
import type { AnswerTo, HostFacts, PairFile, PairHost, PairRequest } from "./protocol.ts";
import { publicKeyOf } from "./public_key.ts";
import { tryWay } from "./try_way.ts";

const KEYGEN_DEADLINE_MS = 60_000;
const MODES: Readonly<Record<PairFile, number>> = {
  config: 0o644,
  key: 0o600,
  knownHosts: 0o644,
  authorizedKeys: 0o600,
};

/** What a {@linkcode LocalHost} is told about its surroundings. */
export interface LocalHostOptions {
  readonly clock: Clock;
  readonly ownAddresses: () => Promise<readonly string[]>;
  /** Configuration path that needs no `--config` in the forced command. */
  readonly defaultConfig: string;
  /** Places that no configuration names; default: those of the system. */
  readonly system?: typeof SYSTEM_PLACES;
  readonly signal: AbortSignal;
}

/** This host. */
export class LocalHost implements PairHost {
  readonly #options: LocalHostOptions;
  readonly #changes = new FileChanges();
  #places: Places | null = null;
  #config: Config | null = null;

  constructor(options: LocalHostOptions) {
    this.#options = options;
  }

  /** Something is changed and not kept yet. */
  get pending(): boolean {
    return this.#changes.pending;
  }

  async ask<Request extends PairRequest>(request: Request): Promise<AnswerTo<Request["do"]>> {
    // What each branch returns is what ANSWERS has for it; TypeScript can't tie the two together.
    return await this.#perform(request) as AnswerTo<Request["do"]>;
  }

  async #perform(request: PairRequest): Promise<AnswerTo<PairRequest["do"]>> {
    switch (request.do) {
      case "inspect":
        return await this.#inspect(request);
      case "make-identity":
        return { identity: await this.#makeIdentity() };
      case "remove-identity":
        await this.#changes.remove(`${this.#at.identity}.pub`);
        await this.#changes.remove(this.#at.identity);
        return {};
      case "read-key":
        return { text: await Deno.readTextFile(this.#at.key) };
      case "write":
        return { backup: await this.#write(request) };
      case "hello": {
        if (this.#config === null) throw new Error("Cannot try the way without a configuration");
        const { transport } = this.#config.replication;
        return { results: await tryWay({ ...this.#options, transport, ...request }) };
      }
      case "undo":
        return { failed: [...await this.#changes.undo()] };
      case "keep":
        this.#changes.keep();
        return {};
    }
  }

  get #at(): Places {
    if (this.#places === null) throw new Error("Cannot do that before this host was looked at");
    return this.#places;
  }

  async #inspect(request: PairRequest & { readonly do: "inspect" }): Promise<HostFacts> {
    this.#config = request.config === null ? null : parseConfig(request.config);
    const transport = this.#config?.replication.transport ?? TRANSPORT_DEFAULTS;
    const places = this.#places = placesOf(transport, request.paths, this.#options.system);
    const config = await textOf(places.config);
    const hostKey = await textOf(places.hostKey);
    const program = request.program === null ? selfCommand([]) : [request.program];
    const isDefault = places.config === this.#options.defaultConfig;
    return {
      hostName: readKernelFile("/proc/sys/kernel/hostname").trim(),
      version: buildInfo().label,
      ...await this.#role(),
      places,
      config: config === null || config.trim() === "" ? null : config,
      configFingerprint: config === null ? null : fingerprintOf(config),
      ...keyFacts(places.key),
      identity: await readIdentity(places.identity),
      hostKey: hostKey === null ? null : publicKeyOf(hostKey),
      knownHosts: await textOf(places.knownHosts) ?? "",
      authorizedKeys: await textOf(places.authorizedKeys) ?? "",
      command: [...program, "receive", ...(isDefault ? [] : ["--config", places.config])],
    };
  }

  async #role(): Promise<{ readonly role: Role | null; readonly roleProblem: string | null }> {
    if (this.#config === null) return { role: null, roleProblem: "there is no configuration" };
    try {
      const own = await this.#options.ownAddresses();
      return { role: identifyRole(this.#config, own), roleProblem: null };
    } catch (cause) {
      return { role: null, roleProblem: messageOf(cause) };
    }
  }

  /** A new key pair, or the missing public half of the one that is there. */
  async #makeIdentity(): Promise<string> {
    const path = this.#at.identity;
    await this.#makeFolders();
    const key = await privateToPublic(path);
    if (key !== null) {
      await this.#changes.write(`${path}.pub`, `${key} relais\n`, 0o644);
      return key;
    }
    if (await textOf(path) !== null) {
      throw new Error(
        `Cannot use ${path} as it is no private key without a passphrase: move it away, then repeat`,
      );
    }
    await this.#changes.remove(`${path}.pub`);
    this.#changes.made(path);
    this.#changes.made(`${path}.pub`);
    const argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "relais", "-f", path];
    await runOk(argv, { deadlineMs: KEYGEN_DEADLINE_MS, signal: this.#options.signal });
    // ssh-keygen leaves that to the kernel: a power cut half a minute later would leave two empty files.
    for (const made of [path, `${path}.pub`, dirname(path)]) await syncPath(made);
    const identity = await readIdentity(path);
    if (identity === null) {
      throw new Error(`Cannot read back the key pair ${path} that was just made`);
    }
    return identity;
  }

  async #write(request: PairRequest & { readonly do: "write" }): Promise<string | null> {
    const { file, text, backup } = request;
    const path = this.#at[file];
    await this.#makeFolders();
    const before = backup ? await textOf(path) : null;
    const beside = before === null ? null : oldName(path, this.#options.clock.wallMs());
    if (beside !== null) await this.#changes.write(beside, before ?? "", MODES[file]);
    // A replacement that was under way is over with that.
    if (file === "key") await this.#changes.remove(nextKeyPath(path));
    if (text === null) await this.#changes.remove(path);
    else await this.#changes.write(path, text, MODES[file]);
    return beside;
  }

  async #makeFolders(): Promise<void> {
    for (const { path, mode } of foldersOf(this.#at)) await this.#changes.makeFolder(path, mode);
  }
}

async function textOf(path: string): Promise<string | null> {
  try {
    const { size, isFile } = await Deno.stat(path);
    if (!isFile || size > MAX_AUTHORIZED_KEYS_BYTES) {
      throw new Error(`Cannot use ${path} as it is no file, or larger than 1 MiB`);
    }
    return await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw cause;
  }
}

function fingerprintOf(config: string): string | null {
  try {
    return parseConfig(config).fingerprint;
  } catch {
    return null; // Refused: whoever wrote it must look at it.
  }
}

function keyFacts(path: string): Pick<HostFacts, "keyDigest" | "keyProblem"> {
  try {
    const hash = createHash("sha256");
    for (const key of readKeys(path)) hash.update(`${key.length}:`).update(key);
    return { keyDigest: hash.digest("hex"), keyProblem: null };
  } catch (cause) {
    const isAbsent = cause instanceof Error && cause.cause instanceof Deno.errors.NotFound;
    return { keyDigest: null, keyProblem: isAbsent ? null : messageOf(cause) };
  }
}

/** The public key, if both halves are there and fit: ssh offers what the `.pub` file says. */
async function readIdentity(path: string): Promise<string | null> {
  const key = await privateToPublic(path);
  const beside = await textOf(`${path}.pub`);
  return key !== null && beside !== null && publicKeyOf(beside) === key ? key : null;
}

async function privateToPublic(path: string): Promise<string | null> {
  if (await textOf(path) === null) return null;
  const argv = ["ssh-keygen", "-y", "-P", "", "-f", path];
  const { code, stdout } = await run(argv, { deadlineMs: KEYGEN_DEADLINE_MS });
  return code === 0 ? publicKeyOf(stdout) : null;
}
