/**
 * From what was typed and found to a draft: each fact comes from a flag, else from a question whose default
 * was found, else (nobody can be asked) from what was found; what is then still missing is named with its
 * flag, all at once.
 *
 * @module
 */

import { contains, parseIp } from "../config/address.ts";
import { canonicalIp } from "../os/ip_bytes.ts";
import type { Draft, NetworkDraft } from "./draft.ts";
import type { Found, FoundNetwork } from "./found.ts";
import { type Dialogue, MissingFactsError, Questions } from "./questions.ts";
import { fill, type Words } from "./words.ts";

/** What was typed on the command line. */
export interface Flags {
  readonly name: string | null;
  readonly preset: string | null;
  readonly database: string | null;
  /** Network name → value, in the order in which they were typed. */
  readonly master: ReadonlyMap<string, string>;
  readonly slave: ReadonlyMap<string, string>;
  readonly prefix: ReadonlyMap<string, string>;
  readonly vip: ReadonlyMap<string, string>;
  readonly gateway: ReadonlyMap<string, string>;
  readonly interface: ReadonlyMap<string, string>;
}

/** Options of {@linkcode decide}. */
export interface DecideOptions {
  readonly flags: Flags;
  readonly found: Found;
  readonly words: Words;
  /** Null: nobody can be asked. */
  readonly dialogue: Dialogue | null;
}

const NETWORK_NAMES = ["voip", "data"];
const ROLES = ["master", "slave"] as const;
type Role = typeof ROLES[number];

/**
 * The draft of a configuration.
 *
 * @throws {MissingFactsError} naming every flag that would help, when nobody can be asked
 * @throws {NoAnswerError}
 */
export async function decide(options: DecideOptions): Promise<Draft> {
  const decider = new Decider(options);
  const draft = await decider.draft();
  if (decider.missing.length > 0) {
    throw new MissingFactsError(
      `what is not known here must be said: ${decider.missing.join(", ")}`,
    );
  }
  return draft;
}

/** Whether a network name was used in any flag, in order of the first one. */
function namesIn(flags: Flags): readonly string[] {
  const { master, slave, prefix, vip, gateway } = flags;
  const maps = [master, slave, vip, prefix, gateway, flags.interface];
  return [...new Set(maps.flatMap((map) => [...map.keys()]))];
}

class Decider {
  readonly #options: DecideOptions;
  readonly #questions: Questions;

  constructor(options: DecideOptions) {
    this.#options = options;
    this.#questions = new Questions(options.dialogue, options.words);
  }

  get missing(): readonly string[] {
    return this.#questions.missing;
  }

  async draft(): Promise<Draft> {
    const { flags, found, words, dialogue } = this.#options;
    await dialogue?.say(fill(words.found, { facts: describe(found) }));
    const cluster = await this.#questions.required({
      text: words.cluster,
      flag: "--name NAME",
      typed: flags.name,
      fallback: clusterName(found.hostName),
      rule: "letters, digits, spaces, dots, _ and -",
      accepts: (answer) => /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,63}$/u.test(answer),
    });
    const preset = await this.#questions.required({
      text: words.preset,
      flag: "--preset PRESET",
      typed: flags.preset,
      fallback: found.product,
      rule: "xivo, wazo, none",
      accepts: (answer) => ["xivo", "wazo", "none"].includes(answer),
    });
    const names = namesIn(flags);
    const networks = names.length > 0 ? await this.#typedNetworks(names) : await this.#asked();
    if (networks.length === 0 && this.#questions.missing.length === 0) {
      this.#questions.missing.push("--master NETWORK=ADDRESS", "--slave NETWORK=ADDRESS");
    }
    const database = preset !== "none" ? flags.database : await this.#questions.optional({
      text: words.database,
      flag: "--database NAME",
      typed: flags.database,
      // Which database is the right one, nobody can guess.
      fallback: null,
      rule: "a name of letters, digits and _",
      accepts: (answer) => /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/.test(answer),
    }, found.postgresql);
    return { cluster, preset, networks, asterisk: found.asterisk, database };
  }

  /** The networks that flags name; the own address may be left out. */
  async #typedNetworks(names: readonly string[]): Promise<NetworkDraft[]> {
    const { flags } = this.#options;
    const networks: NetworkDraft[] = [];
    let role: Role | null = null;
    for (const name of names) {
      const near = [flags.master, flags.slave, flags.vip, flags.gateway].flatMap((map) =>
        map.get(name) ?? []
      );
      const own = this.#ownIn(near, flags.interface.get(name) ?? null);
      role ??= this.#roleIn(name, own);
      role ??= await this.#role();
      networks.push(await this.#network({ name, own, role }));
    }
    return networks;
  }

  /** One after the other, the networks that were found. */
  async #asked(): Promise<NetworkDraft[]> {
    const { found, words, dialogue } = this.#options;
    if (dialogue === null) return [];
    const role = await this.#role();
    const networks: NetworkDraft[] = [];
    for (const own of found.networks) {
      const use = await this.#questions.required({
        text: fill(words.useNetwork, { network: shown(own) }),
        flag: "",
        typed: null,
        fallback: words.none === "none" ? "yes" : "oui",
        rule: "yes, no",
        accepts: (answer) => /^(y|yes|o|oui|n|no|non)$/i.test(answer),
      });
      if (/^n/i.test(use)) continue;
      const name = await this.#questions.required({
        text: words.networkName,
        flag: "",
        typed: null,
        fallback: NETWORK_NAMES[networks.length] ?? `net${networks.length + 1}`,
        rule: "a-z, 0-9, _ and -, starting with a letter",
        accepts: (answer) => /^[a-z][a-z0-9_-]{0,30}$/.test(answer),
      });
      networks.push(await this.#network({ name, own, role }));
    }
    return networks;
  }

  async #network({ name, own, role }: {
    readonly name: string;
    readonly own: FoundNetwork | null;
    readonly role: Role;
  }): Promise<NetworkDraft> {
    const { flags, found, words } = this.#options;
    const inside = (address: string): boolean => own === null || isInside(own, address);
    const addressRule = own === null
      ? "an IP address"
      : `an address in ${own.address}/${own.prefix}`;
    const addresses: Record<Role, string> = { master: "", slave: "" };
    for (const which of ROLES) {
      const suggested = which === role ? own?.address : found.ha?.peer;
      addresses[which] = await this.#questions.required({
        text: words.peer,
        flag: `--${which} ${name}=ADDRESS`,
        typed: flags[which].get(name) ?? (which === role ? suggested : null),
        fallback: suggested !== undefined && suggested !== null && inside(suggested)
          ? suggested
          : null,
        rule: addressRule,
        accepts: (answer) => inside(answer) && canonicalIp(answer) !== null,
      });
    }
    const vip = await this.#questions.optional({
      text: words.vip,
      flag: `--vip ${name}=ADDRESS`,
      typed: flags.vip.get(name) ?? null,
      fallback: null,
      rule: addressRule,
      accepts: inside,
    }, true);
    const gateway = await this.#questions.optional({
      text: words.gateway,
      flag: `--gateway ${name}=ADDRESS`,
      typed: flags.gateway.get(name) ?? null,
      fallback: own === null ? null : found.gateways.find((each) => isInside(own, each)) ?? null,
      rule: addressRule,
      accepts: inside,
    }, true);
    const prefix = await this.#questions.required({
      text: "  Prefix",
      flag: `--prefix ${name}=LENGTH`,
      typed: flags.prefix.get(name) ?? (own === null ? null : String(own.prefix)),
      fallback: null,
      rule: "a number",
      accepts: (answer) => /^\d{1,3}$/.test(answer),
    });
    return {
      name,
      ...addresses,
      prefix,
      vip,
      gateway,
      interface: flags.interface.get(name) ?? null,
    };
  }

  /** Our own address on the network of any of these addresses, or on that interface. */
  #ownIn(addresses: readonly string[], name: string | null): FoundNetwork | null {
    const { networks } = this.#options.found;
    return networks.find((own) => own.interface === name) ??
      networks.find((own) => addresses.includes(own.address)) ??
      networks.find((own) => addresses.some((address) => isInside(own, address))) ?? null;
  }

  /** Which one this host is, as far as the flags of one network say; null: they do not. */
  #roleIn(name: string, own: FoundNetwork | null): Role | null {
    const { flags } = this.#options;
    const [master, slave] = [flags.master.get(name), flags.slave.get(name)];
    if (own !== null && own.address === canonicalIp(master ?? "")) return "master";
    if (own !== null && own.address === canonicalIp(slave ?? "")) return "slave";
    if (master === undefined && slave === undefined) return null;
    // The address that is left out is our own. With both given it makes no difference here.
    return master === undefined ? "master" : "slave";
  }

  /** Which one this host is; nobody to ask: what the product's own file says, or the preferred one. */
  async #role(): Promise<Role> {
    const { found, words } = this.#options;
    return await this.#questions.required({
      text: words.role,
      flag: "",
      typed: null,
      fallback: found.ha?.role ?? "master",
      rule: "master, slave",
      accepts: (answer) => answer === "master" || answer === "slave",
    }) as Role;
  }
}

function describe(found: Found): string {
  const product = { xivo: ["XiVO"], wazo: ["Wazo"], none: [] }[found.product];
  const routes = found.gateways.map((via) => `default via ${via}`);
  const parts = [
    ...[...found.networks.map(shown), ...routes, ...product],
    ...[found.asterisk ? "Asterisk" : "", found.postgresql ? "PostgreSQL" : ""],
    found.ha === null ? "" : `ha.conf (${found.ha.role})`,
  ];
  return parts.filter((part) => part !== "").join(", ");
}

function shown(own: FoundNetwork): string {
  return `${own.interface} ${own.address}/${own.prefix}`;
}

function isInside({ address, prefix }: FoundNetwork, other: string): boolean {
  const [own, ip] = [parseIp(address), parseIp(other)];
  return own !== null && ip !== null && own.family === ip.family &&
    contains({ address: own, prefix }, ip);
}

/** `pbx-master`, `pbx1` → `pbx`: both hosts should come to the same. */
function clusterName(hostName: string): string {
  const stem = hostName.split(".")[0]!.replace(/[-_]?(master|slave|main|standby|[0-9]+)$/i, "");
  return /^[A-Za-z0-9]/.test(stem) ? stem.slice(0, 64) : "pbx";
}
