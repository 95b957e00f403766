/**
 * The endpoints of `[arbiter]`, asked in turn: first the one that answered last.
 *
 * @module
 */

import { arbiterTryMs } from "../config/arbiter_timing.ts";
import { contains, parseCidr, parseIp } from "../config/address.ts";
import type { ArbiterConfig, LocalConfig } from "../config/types.ts";
import { messageOf } from "../os/errors.ts";
import type { Etcd, EtcdCluster } from "./etcd.ts";
import { Gateway } from "./gateway.ts";

/** See the module. */
export class Endpoints implements EtcdCluster {
  readonly #endpoints: readonly Etcd[];
  readonly #tryMs: number;
  readonly #clients: readonly Deno.HttpClient[];
  #preferred = 0;

  /**
   * @param local who asks; null: a host that is not known to be one of the two
   * @throws {Error} when a certificate or the password cannot be read
   */
  constructor(config: ArbiterConfig, local: Pick<LocalConfig, "networks" | "role"> | null) {
    this.#clients = config.endpoints.map((url) =>
      makeClient(config, local === null ? null : ownAddressFor(url, local))
    );
    const user = config.username === null ? null : {
      name: config.username,
      password: readFile(config.passwordFile ?? "", "password_file").replace(/\r?\n$/, ""),
    };
    this.#endpoints = config.endpoints.map((url, n) =>
      new Gateway({ url, client: this.#clients[n]!, user })
    );
    this.#tryMs = arbiterTryMs(config.ttlMs, config.endpoints.length);
  }

  async attempt<T>(
    work: (etcd: Etcd, signal: AbortSignal) => Promise<T>,
    { patience = 1 }: { readonly patience?: number } = {},
  ): Promise<T> {
    const failures: string[] = [];
    const count = this.#endpoints.length;
    const first = this.#preferred;
    for (let n = 0; n < count; n++) {
      const at = (first + n) % count;
      try {
        const done = await this.#within(work, this.#endpoints[at]!, patience);
        this.#preferred = at;
        return done;
      } catch (error) {
        failures.push(messageOf(error));
      }
    }
    // The one that stands next may have come back first.
    this.#preferred = (first + 1) % count;
    throw new Error(failures.join("; "));
  }

  /** Each endpoint by itself, for people: what it says, or why it says nothing. */
  async each(): Promise<readonly { readonly text: string; readonly answers: boolean }[]> {
    return await Promise.all(this.#endpoints.map(async (etcd) => {
      try {
        const text = await this.#within((one, signal) => one.about(signal), etcd);
        return { text, answers: true };
      } catch (error) {
        return { text: messageOf(error), answers: false };
      }
    }));
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  async #within<T>(
    work: (etcd: Etcd, signal: AbortSignal) => Promise<T>,
    etcd: Etcd,
    patience = 1,
  ): Promise<T> {
    const deadline = new AbortController();
    const limit = this.#tryMs * patience;
    const timer = setTimeout(
      () => deadline.abort(new Error(`no answer within ${limit} ms`)),
      limit,
    );
    try {
      return await work(etcd, deadline.signal);
    } finally {
      clearTimeout(timer);
    }
  }
}

function makeClient(
  { ca, cert, key }: ArbiterConfig,
  localAddress: string | null,
): Deno.HttpClient {
  return Deno.createHttpClient({
    ...(localAddress === null ? {} : { localAddress }),
    ...(ca === null ? {} : { caCerts: [readFile(ca, "ca")] }),
    ...(cert === null || key === null
      ? {}
      : { cert: readFile(cert, "cert"), key: readFile(key, "key") }),
  });
}

/**
 * This host's own address that goes to the endpoint, so that no connection comes from a VIP and is cut with
 * it, at the very moment when the right must be given back: of the network that the endpoint is on, else of
 * one whose default route comes from its VIP. Null: the kernel's choice is right.
 */
export function ownAddressFor(
  url: string,
  { networks, role }: Pick<LocalConfig, "networks" | "role">,
): string | null {
  const address = parseIp(new URL(url).hostname.replace(/^\[|\]$/g, ""));
  const on = networks.find(({ master, prefix }) => {
    const subnet = parseCidr(`${master}/${prefix}`);
    return address !== null && subnet !== null && contains(subnet, address);
  });
  const by = networks.find(({ family, vips, routes }) =>
    vips.length > 0 && routes.some(({ to }) => to === "default") &&
    (address === null || address.family === family)
  );
  return (on ?? by)?.[role] ?? null;
}

function readFile(path: string, name: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new Error(`Cannot read arbiter.${name} = "${path}": ${messageOf(error)}`, {
      cause: error,
    });
  }
}
