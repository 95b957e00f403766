/**
 * A real etcd, Debian's, in a host of the lab or beside the test.
 *
 * @module
 */

import type { HostProcess } from "./host_process.ts";
import type { TestHost } from "./host.ts";
import { poll } from "./poll.ts";

const DATA_DIR = "/var/lib/etcd-test";
const LOG_FILE = "/var/log/etcd.log";
const DEADLINE_MS = 60_000;

/** The port that clients use; etcd's own. */
export const ETCD_PORT = 2379;

/** One etcd of one member on a host of the lab. */
export class LabEtcd {
  #process: HostProcess | null = null;

  constructor(readonly host: TestHost, readonly address: string) {}

  /** `http://ADDRESS:2379`. */
  get url(): string {
    return `http://${this.address}:${ETCD_PORT}`;
  }

  /** Starts it, with what it had on its disk before, and waits until it answers. */
  async start(): Promise<void> {
    await this.host.exec(["mkdir", "-p", DATA_DIR]);
    await this.host.exec(["chmod", "700", DATA_DIR]);
    await this.host.exec(["ip", "link", "set", "lo", "up"]);
    this.#process = this.host.spawn([
      ...["etcd", "--name", "one", "--data-dir", DATA_DIR],
      ...["--listen-client-urls", `http://0.0.0.0:${ETCD_PORT}`],
      ...["--advertise-client-urls", this.url],
      ...["--listen-peer-urls", "http://127.0.0.1:2380"],
      ...["--initial-advertise-peer-urls", "http://127.0.0.1:2380"],
      ...["--initial-cluster", "one=http://127.0.0.1:2380"],
    ], { logFile: LOG_FILE });
    await poll(async () => (await this.ctl(["endpoint", "health"])).code === 0, {
      deadlineMs: DEADLINE_MS,
      everyMs: 200,
      what: "an etcd that answers",
      instead: () => this.host.readFile(LOG_FILE).then((text) => text.slice(-2000)),
    });
  }

  /** SIGKILL: no word to anybody. */
  async kill(): Promise<void> {
    await this.#process?.end("SIGKILL");
    this.#process = null;
  }

  /** It stands still: connections stay, nobody answers. */
  async freeze(): Promise<void> {
    await this.#process?.signal("SIGSTOP");
  }

  /** Undoes {@linkcode LabEtcd.freeze}. */
  async thaw(): Promise<void> {
    await this.#process?.signal("SIGCONT");
  }

  /** Runs `etcdctl` (v3) beside it. */
  async ctl(args: readonly string[]): Promise<{ readonly code: number; readonly stdout: string }> {
    return await this.host.try([
      "etcdctl",
      "--endpoints",
      `http://127.0.0.1:${ETCD_PORT}`,
      "--dial-timeout=2s",
      "--command-timeout=5s",
      ...args,
    ], { env: { ETCDCTL_API: "3" } });
  }

  /** What the key says of the holder; null: it is not there. */
  async holder(key: string): Promise<string | null> {
    const { stdout } = await this.ctl(["get", "--print-value-only", key]);
    return stdout.trim() === "" ? null : (JSON.parse(stdout) as { role: string }).role;
  }

  /** Drops what these addresses send to it, without a word (a partition), or (empty) nothing. */
  async shut(addresses: readonly string[]): Promise<void> {
    const rules = addresses.length === 0
      ? ""
      : `ip saddr { ${addresses.join(", ")} } tcp dport ${ETCD_PORT} drop\n`;
    await this.host.exec(["nft", "-f", "-"], {
      stdin: "table inet etcd {}\ndelete table inet etcd\ntable inet etcd {\nchain in {\n" +
        `type filter hook input priority 0\n${rules}}\n}\n`,
    });
  }
}
