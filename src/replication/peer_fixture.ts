/**
 * A second host for tests, on this machine: a real sshd on loopback whose only key runs `relais receive`
 * from source, in namespaces of its own where other directories lie under the same paths. All of it ends
 * with the test process, also when that is killed: the namespace's first process waits on its input.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { LocalConfig, ReplicationConfig } from "../config/types.ts";
import type { Role } from "../core/types.ts";
import { systemClock } from "../os/clock.ts";
import { runOk } from "../os/process.ts";
import type { DaemonSelf } from "./remote_protocol.ts";
import { Replicator } from "./replicator.ts";
import type { ReplicatorOptions } from "./replicator_types.ts";
import { Transport } from "./transport.ts";

/** What the peer's "daemon" answers; null: it does not answer. */
export interface PeerGate {
  readonly daemon: DaemonSelf | null;
  /** Null: permitted. */
  readonly refusal: string | null;
}

/** Everything about both hosts. */
export class Pair {
  readonly directory: string;
  readonly #peer: Deno.ChildProcess;
  readonly #log: Promise<string>;
  readonly port: number;
  readonly role: Role;

  private constructor(options: {
    directory: string;
    peer: Deno.ChildProcess;
    port: number;
    role: Role;
  }) {
    this.directory = options.directory;
    this.#peer = options.peer;
    this.#log = new Response(options.peer.stderr).text();
    this.port = options.port;
    this.role = options.role;
  }

  /** Makes both hosts; this process is the one with `role`. */
  static async make(role: Role): Promise<Pair> {
    const directory = await Deno.makeTempDir({ prefix: "rlp" });
    const at = (name: string): string => join(directory, name);
    // `shared` is where the declared paths are; the peer sees its own `peer/shared` there.
    for (
      const name of ["shared", "state", "run", "peer", "peer/shared", "peer/state", "peer/run"]
    ) {
      await Deno.mkdir(at(name));
    }
    await runOk(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at("key")], DEADLINE);
    await runOk(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at("hostkey")], DEADLINE);
    const port = freePort();
    const script = new URL("./receive_fixture.ts", import.meta.url).pathname;
    const denoDir = JSON.parse(
      (await runOk([Deno.execPath(), "info", "--json"], DEADLINE)).stdout,
    ).denoDir;
    await writeScript(
      at("receive.sh"),
      `export DENO_DIR=${denoDir}\nexec ${Deno.execPath()} run -A --quiet ${script} ${directory}\n`,
    );
    const key = await Deno.readTextFile(at("key.pub"));
    await Deno.writeTextFile(
      at("authorized_keys"),
      `restrict,command="${at("receive.sh")}" ${key}`,
    );
    await Deno.writeTextFile(at("sshd_config"), sshdConfig(directory, port));
    await Deno.mkdir("/run/sshd", { recursive: true });
    // sshd's shell reads root's .bashrc even for a forced command; what is in there is not ours to run.
    const inside = `mount --bind ${at("peer/shared")} ${at("shared")}
      test ! -f /root/.bashrc || mount --bind /dev/null /root/.bashrc
      /usr/sbin/sshd -D -e -f ${at("sshd_config")} </dev/null & read -r _`;
    const peer = new Deno.Command("unshare", {
      args: ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", inside],
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const pair = new Pair({ directory, peer, port, role });
    await pair.#writeKnownHosts(await Deno.readTextFile(at("hostkey.pub")));
    await pair.writeConfig({});
    await pair.setGate({ daemon: pair.peerDaemon("standby"), refusal: null });
    await waitFor(() => canConnect(port), "sshd answers");
    return pair;
  }

  /** The peer loses power: everything on it is gone at once. */
  async powerOff(): Promise<void> {
    await this.#peer.stdin.close().catch(() => {}); // Closed already: it is off.
    await this.#peer.status;
  }

  /** Ends everything and removes it. */
  async end(): Promise<void> {
    await this.powerOff();
    await this.#log;
    await Deno.remove(this.directory, { recursive: true });
  }

  at(name: string): string {
    return join(this.directory, name);
  }

  peerDaemon(state: DaemonSelf["state"], epoch = 1): DaemonSelf {
    const role = this.role === "master" ? "slave" : "master";
    return { role, state, epoch, serving: state === "active" };
  }

  async setGate(gate: PeerGate): Promise<void> {
    await Deno.writeTextFile(this.at("peer/gate.tmp"), JSON.stringify(gate));
    await Deno.rename(this.at("peer/gate.tmp"), this.at("peer/gate.json"));
  }

  /** What the peer's daemon was asked and told. */
  gateLog(): string {
    try {
      return Deno.readTextFileSync(this.at("peer/gate.log"));
    } catch {
      return "";
    }
  }

  /** This host's configuration; the peer's is the same with the other role. */
  config(change: Partial<ReplicationConfig> = {}): LocalConfig {
    return {
      role: this.role,
      fingerprint: "f00d",
      replication: {
        transport: {
          user: "root",
          port: this.port,
          identityFile: this.at("key"),
          knownHostsFile: this.at("known_hosts"),
        },
        astdb: {
          path: this.at("shared/astdb.sqlite3"),
          everyMs: 600_000,
          onChange: true,
          localKeys: [],
        },
        database: null,
        config: null,
        hot: null,
        files: {
          everyMs: 600_000,
          onChange: false,
          paths: [this.at("shared/sounds"), this.at("shared/etc")],
          pathsFromPreset: false,
          excludes: ["monitor"],
          returnPaths: [this.at("shared/voice mail")],
        },
        ...change,
      },
    } as LocalConfig; // The other sections are not looked at by src/replication.
  }

  async writeConfig(change: Partial<ReplicationConfig>): Promise<void> {
    const role = this.role === "master" ? "slave" : "master";
    const config = { ...this.config(change), role };
    await Deno.writeTextFile(this.at("peer/config.json"), JSON.stringify(config));
  }

  transport(addresses: readonly string[] = ["127.0.0.1"]): Transport {
    return new Transport({
      transport: this.config().replication.transport,
      runDir: this.at("run"),
      addresses: () => addresses,
      clock: systemClock,
    });
  }

  replicator(change: Partial<ReplicatorOptions> = {}): Replicator {
    return new Replicator({
      config: this.config(),
      stateDir: this.at("state"),
      runDir: this.at("run"),
      clock: systemClock,
      log: () => {},
      peerAddresses: () => ["127.0.0.1"],
      mayRead: () => ({ ok: true, epoch: 1 }),
      database: null,
      tables: null,
      ...change,
    });
  }

  async #writeKnownHosts(hostKey: string): Promise<void> {
    const [type, key] = hostKey.split(" ");
    const lines = ["127.0.0.1", "127.0.0.2"].map((address) =>
      `[${address}]:${this.port} ${type} ${key}\n`
    );
    await Deno.writeTextFile(this.at("known_hosts"), lines.join(""));
  }
}

const DEADLINE = { deadlineMs: 20_000 };

/** Writes rows into an astdb that nobody else has open. */
export function putRows(path: string, rows: Readonly<Record<string, string>>): void {
  const database = new DatabaseSync(path);
  database.exec("CREATE TABLE IF NOT EXISTS astdb(key TEXT PRIMARY KEY, value TEXT)");
  const put = database.prepare("INSERT OR REPLACE INTO astdb VALUES(?, ?)");
  for (const [key, value] of Object.entries(rows)) put.run(key, value);
  database.close();
}

/** Reads one value of an astdb; null: no such key. */
export function readRow(path: string, key: string): string | null {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const row = database.prepare("SELECT value FROM astdb WHERE key = ?").get(key);
    return row === undefined ? null : String(row["value"]);
  } finally {
    database.close();
  }
}

/** Polls until `condition` holds, at most 30 s. */
export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  what: string,
): Promise<void> {
  const until = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > until) throw new Error(`Waited 30 s in vain: ${what}`);
    await systemClock.sleep(25);
  }
}

function sshdConfig(directory: string, port: number): string {
  return [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    "ListenAddress 127.0.0.2",
    `HostKey ${directory}/hostkey`,
    `AuthorizedKeysFile ${directory}/authorized_keys`,
    "PermitRootLogin forced-commands-only",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "StrictModes no",
    "PidFile none",
    "",
  ].join("\n");
}

async function writeScript(path: string, body: string): Promise<void> {
  await Deno.writeTextFile(path, `#!/bin/sh\n${body}`);
  await Deno.chmod(path, 0o755);
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return (listener.addr as Deno.NetAddr).port;
}

async function canConnect(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

/** `[replication.database]` where PostgreSQL is not asked. */
export const DATABASE = {
  url: "postgresql:///asterisk",
  name: "asterisk",
  socketDir: null,
  port: null,
  osUser: "postgres",
  everyMs: 600_000,
  mode: "copy" as const,
  synchronous: false,
  synchronousPatienceMs: 3000,
  localTables: [],
  excludeTableData: [],
  onChange: true,
  delta: false,
  hotTables: [],
  hotEveryMs: 60_000,
  returnMode: "none" as const,
  returnTables: [],
  onReturnFailure: "wait" as const,
};
