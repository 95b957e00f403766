/**
 * A real etcd, Debian's, on loopback ports of this machine: one member or several, each of which can be
 * killed, frozen and started again. All end with the test process.
 *
 * @module
 */

import { killChild, runOk } from "../../src/os/process.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { poll } from "./poll.ts";
import { signalPid } from "./process_table.ts";

const DEADLINE_MS = 60_000;

/** One member. */
export interface Member {
  readonly url: string;
  readonly peerUrl: string;
  readonly dataDir: string;
  child: Deno.ChildProcess | null;
}

/** See the module. */
export class LocalEtcd {
  readonly #client: Deno.HttpClient | null;

  private constructor(
    readonly members: readonly Member[],
    readonly folder: string,
    readonly certificates: Certificates | null,
  ) {
    this.#client = certificates === null ? null : Deno.createHttpClient({
      caCerts: [Deno.readTextFileSync(certificates.ca)],
      cert: Deno.readTextFileSync(certificates.clientCert),
      key: Deno.readTextFileSync(certificates.clientKey),
    });
  }

  /**
   * Starts so many members and waits until each answers.
   *
   * @param options.tls clients speak TLS, and must show a certificate of {@linkcode LocalEtcd.certificates}
   */
  static async start(count = 1, options: { readonly tls?: boolean } = {}): Promise<LocalEtcd> {
    const folder = await Deno.makeTempDir({ prefix: "relais-etcd-" });
    const certificates = options.tls === true ? await makeCertificates(folder) : null;
    const scheme = certificates === null ? "http" : "https";
    const ports = freePorts(2 * count);
    const members = Array.from({ length: count }, (_, n): Member => ({
      url: `${scheme}://127.0.0.1:${ports[2 * n]}`,
      peerUrl: `http://127.0.0.1:${ports[2 * n + 1]}`,
      dataDir: `${folder}/${n}`,
      child: null,
    }));
    const etcd = new LocalEtcd(members, folder, certificates);
    try {
      for (const n of members.keys()) etcd.#spawn(n);
      await Promise.all(members.keys().map((n) => etcd.untilHealthy(n)));
    } catch (error) {
      await etcd.close();
      throw error;
    }
    return etcd;
  }

  /** URLs for clients. */
  get urls(): string[] {
    return this.members.map(({ url }) => url);
  }

  /** SIGKILL. */
  async kill(n = 0): Promise<void> {
    const { child } = this.members[n]!;
    this.members[n]!.child = null;
    if (child === null) return;
    killChild(child);
    await child.status;
  }

  /** Starts a member that was killed, with what is on its disk. */
  async restart(n = 0): Promise<void> {
    this.#spawn(n);
    await this.untilHealthy(n);
  }

  /** It stands still: connections stay open, nobody answers. */
  freeze(n = 0): void {
    signalPid(this.members[n]!.child!.pid, "SIGSTOP");
  }

  /** Undoes {@linkcode LocalEtcd.freeze}. */
  thaw(n = 0): void {
    const { child } = this.members[n]!;
    if (child !== null) signalPid(child.pid, "SIGCONT");
  }

  /** The number of the member that leads. */
  async leader(): Promise<number> {
    return await poll(async () => {
      for (const [n, { url, child }] of this.members.entries()) {
        if (child === null) continue;
        const status = await this.#post(`${url}/v3/maintenance/status`, {});
        if (status !== null && status.leader === status.header.member_id) return n;
      }
      return null;
    }, { deadlineMs: DEADLINE_MS, everyMs: 100, what: "a leader" });
  }

  /** Deletes a key, as somebody with `etcdctl` would. */
  async delete(key: string): Promise<void> {
    await this.#post(`${this.urls[0]}/v3/kv/deleterange`, { key: btoa(key) });
  }

  /** Runs `etcdctl` (v3) against the first member. @throws {Error} when it fails */
  async ctl(...args: string[]): Promise<string> {
    const { certificates: pem } = this;
    const tls = pem === null
      ? []
      : [`--cacert=${pem.ca}`, `--cert=${pem.clientCert}`, `--key=${pem.clientKey}`];
    const { stdout } = await runOk(
      ["etcdctl", `--endpoints=${this.members[0]!.url}`, ...tls, ...args],
      { env: { ETCDCTL_API: "3" }, deadlineMs: DEADLINE_MS },
    );
    return stdout;
  }

  async untilHealthy(n: number): Promise<void> {
    await poll(async () => {
      try {
        const response = await fetch(`${this.members[n]!.url}/health`, {
          signal: AbortSignal.timeout(2000),
          ...(this.#client === null ? {} : { client: this.#client }),
        });
        return (await response.text()).includes("true");
      } catch {
        return false;
      }
    }, { deadlineMs: DEADLINE_MS, everyMs: 100, what: `a healthy member ${n}` });
  }

  async close(): Promise<void> {
    for (const n of this.members.keys()) {
      this.thaw(n);
      await this.kill(n);
    }
    this.#client?.close();
    await Deno.remove(this.folder, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #spawn(n: number): void {
    const { url, peerUrl, dataDir } = this.members[n]!;
    const cluster = this.members.map((each, i) => `m${i}=${each.peerUrl}`).join(",");
    const { certificates: pem } = this;
    const tls = pem === null ? [] : [
      ...["--cert-file", pem.cert, "--key-file", pem.key],
      ...["--client-cert-auth", "--trusted-ca-file", pem.ca],
    ];
    this.members[n]!.child = new Deno.Command("setpriv", {
      args: [
        ...["--pdeathsig", "KILL", "etcd", "--name", `m${n}`, "--data-dir", dataDir],
        ...["--listen-client-urls", url, "--advertise-client-urls", url],
        ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
        // Passwords of tests are no secrets: a cheap hash, so that asking for a token fits into a try.
        ...["--initial-cluster", cluster, "--bcrypt-cost", "4"],
        ...tls,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  async #post(
    url: string,
    body: unknown,
  ): Promise<{ readonly leader?: string; readonly header: { readonly member_id: string } } | null> {
    try {
      const response = await fetch(url, {
        method: "POST",
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(2000),
      });
      return await response.json();
    } catch {
      return null;
    }
  }
}

/** Ports that nobody listens on now. */
function freePorts(count: number): number[] {
  const listeners = Array.from(
    { length: count },
    () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}
