/**
 * Real PostgreSQL clusters for tests, the demo and benches: in a temporary directory, reached through a
 * socket in it only (no TCP), removed also when the test is killed: each postmaster hangs on a keeper
 * process (`postgres_keeper.ts`) that stops it and removes the directory when its standard input closes.
 *
 * @module
 */

import { readdir, stat } from "node:fs/promises";
import { runOk } from "../../src/os/process.ts";
import { lookupUser } from "../../src/os/user.ts";
import type { ProcessUser } from "../../src/os/user.ts";
import { fromTestCache, intoTestCache } from "./test_cache.ts";

const BINARIES = "/usr/lib/postgresql";
const PORT = 5432;
const START_DEADLINE_MS = 60_000;

/** User that the clusters belong to; whoever runs the tests, unless that is root. */
export async function clusterOsUser(): Promise<string> {
  if (Deno.uid() === 0) return "postgres";
  return (await runOk(["id", "-un"], { deadlineMs: START_DEADLINE_MS })).stdout.trim();
}

/** Directory of the newest installed PostgreSQL server's programs; null if none is installed. */
export async function findPostgres(): Promise<string | null> {
  const versions = await readdir(BINARIES).catch(() => []);
  for (const version of versions.sort((a, b) => Number(b) - Number(a))) {
    const bin = `${BINARIES}/${version}/bin`;
    if ((await stat(`${bin}/initdb`).catch(() => null))?.isFile()) return bin;
  }
  return null;
}

/** Options of {@linkcode TestCluster.start}. */
export interface TestClusterOptions {
  /** Server settings beyond the defaults of tests (`fsync` off, 64 MB of WAL). */
  readonly settings?: Readonly<Record<string, string>>;
  /** Directory to make the cluster in; default: a temporary one. Removed at the end. */
  readonly directory?: string;
  /** Directory of the server's programs; default: {@linkcode findPostgres}. */
  readonly bin?: string;
}

/** A running cluster. */
export class TestCluster implements AsyncDisposable {
  /** Holds the socket and the data. */
  readonly directory: string;
  readonly port = PORT;
  readonly osUser: string;
  readonly #bin: string;
  readonly #user: ProcessUser;
  readonly #settings: readonly string[];
  #keeper: Deno.ChildProcess | null = null;

  private constructor(
    options: {
      readonly directory: string;
      readonly osUser: string;
      readonly bin: string;
      readonly user: ProcessUser;
      readonly settings: readonly string[];
    },
  ) {
    this.directory = options.directory;
    this.osUser = options.osUser;
    this.#bin = options.bin;
    this.#user = options.user;
    this.#settings = options.settings;
  }

  /** Makes and starts a cluster; its superuser is `postgres`, or whoever runs the tests. */
  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const bin = options.bin ?? await findPostgres();
    if (bin === null) throw new Error("Cannot start PostgreSQL: run: apt install postgresql");
    const osUser = await clusterOsUser();
    const user = await lookupUser(osUser);
    const directory = options.directory ?? await Deno.makeTempDir({ prefix: "relais-pg-" });
    const settings = Object.entries({
      listen_addresses: "",
      unix_socket_directories: directory,
      port: String(PORT),
      fsync: "off",
      max_wal_size: "64MB",
      min_wal_size: "32MB",
      shared_buffers: "32MB",
      ...options.settings,
    }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const cluster = new TestCluster({ directory, osUser, bin, user, settings });
    try {
      await Deno.mkdir(directory, { recursive: true });
      await Deno.chmod(directory, 0o755);
      if ("uid" in user) await Deno.chown(directory, user.uid, user.gid);
      await cluster.#makeData();
      await cluster.boot();
      return cluster;
    } catch (error) {
      await cluster.remove();
      throw error;
    }
  }

  /** What initdb makes is always the same, down to the cluster's number: it is copied from one of before. */
  async #makeData(): Promise<void> {
    const version = await this.#as([`${this.#bin}/postgres`, "--version"]);
    const name = `initdb-${this.osUser}-${version.replaceAll(/[^\w.]+/g, "-")}`;
    const kept = await fromTestCache(name);
    if (kept !== null) return await copyTree(kept, this.dataDirectory);
    await this.#as([
      ...[`${this.#bin}/initdb`, "-D", this.dataDirectory, "-A", "peer", "-E", "UTF8"],
      ...["--locale=C.UTF-8", "--no-sync"],
    ]);
    await intoTestCache(name, (part) => copyTree(this.dataDirectory, part));
  }

  /** What initdb made. */
  get dataDirectory(): string {
    return `${this.directory}/data`;
  }

  /** URL of a database, as users write it in the configuration. */
  url(database: string): string {
    return `postgresql:///${database}?host=${this.directory}&port=${this.port}`;
  }

  /** (Re)starts the server and waits until it answers. */
  async boot(): Promise<void> {
    // A server that ended by itself (a full disk, say) has left its keeper behind.
    await this.#dismiss();
    const keeper = new URL("./postgres_keeper.ts", import.meta.url).pathname;
    const { uid, gid } = { uid: "", gid: "", ...this.#user };
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-config", keeper, this.directory, String(uid), String(gid)],
        ...[`${this.#bin}/postgres`, "-D", this.dataDirectory, ...this.#settings],
      ],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
      // Deno kills its other children when it ends in disorder; a kill of the group must not reach it either.
      detached: true,
    }).spawn();
    this.#keeper = child;
    await this.#answering();
  }

  /** Client of a database as the superuser: one connection; end it. Requires the cluster's uid. */
  async psql(database: string, script: string): Promise<string> {
    return await this.#as(
      [`${this.#bin}/psql`, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database],
      script,
    );
  }

  /** Kills every process of the server at once, as a power cut would; {@linkcode boot} starts it again. */
  async kill(): Promise<void> {
    const pid = await this.postmasterPid();
    for (const child of await childrenOf(pid)) killIfThere(child);
    killIfThere(pid);
    await this.#dismiss();
  }

  /** Ends the keeper, if there is one; it leaves the directory, as it is asked to by this letter. */
  async #dismiss(): Promise<void> {
    const keeper = this.#keeper;
    this.#keeper = null;
    if (keeper === null) return;
    const writer = keeper.stdin.getWriter();
    await writer.write(new TextEncoder().encode("k"));
    await writer.close();
    await keeper.status;
  }

  /** Process id of the server. */
  async postmasterPid(): Promise<number> {
    const text = await Deno.readTextFile(`${this.dataDirectory}/postmaster.pid`);
    return Number(text.split("\n")[0]);
  }

  /** Stops the server and removes everything. */
  async remove(): Promise<void> {
    const keeper = this.#keeper;
    this.#keeper = null;
    if (keeper !== null) {
      await keeper.stdin.close();
      await keeper.status;
    }
    await Deno.remove(this.directory, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }

  async #answering(): Promise<void> {
    const until = performance.now() + START_DEADLINE_MS;
    while (true) {
      const ready = await new Deno.Command(`${this.#bin}/pg_isready`, {
        args: ["-q", "-h", this.directory, "-p", String(this.port)],
      }).output();
      if (ready.success) return;
      if (performance.now() > until) {
        throw new Error(`Cannot use the cluster in ${this.directory} as it does not answer`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #as(argv: readonly string[], stdin?: string): Promise<string> {
    const [tool, ...args] = argv;
    const child = new Deno.Command(tool ?? "", {
      args,
      ...this.#user,
      cwd: "/",
      env: { PGHOST: this.directory, PGPORT: String(this.port), LC_ALL: "C.UTF-8" },
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    if (stdin !== undefined) {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(stdin));
      await writer.close();
    }
    const output = await child.output();
    const decoder = new TextDecoder();
    if (!output.success) throw new Error(`${argv.join(" ")}: ${decoder.decode(output.stderr)}`);
    return decoder.decode(output.stdout).trim();
  }
}

/** Starts two clusters at the same time; `stack` removes them, also when only one starts. */
export async function startBoth(
  stack: AsyncDisposableStack,
  first: TestClusterOptions,
  second: TestClusterOptions,
): Promise<readonly [TestCluster, TestCluster]> {
  const starts = [first, second].map((options) => TestCluster.start(options));
  const ends = await Promise.allSettled(starts);
  for (const end of ends) if (end.status === "fulfilled") stack.use(end.value);
  const [one, other] = await Promise.all(starts);
  return [one!, other!];
}

/** With owners and times. */
async function copyTree(from: string, to: string): Promise<void> {
  await runOk(["cp", "-a", "--no-target-directory", "--", from, to], {
    deadlineMs: START_DEADLINE_MS,
  });
}

/** Process ids of the direct children of a process, whichever of its threads started them. */
export async function childrenOf(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(
    threads.map((thread) =>
      Deno.readTextFile(`/proc/${pid}/task/${thread}/children`).catch(() => "")
    ),
  );
  return lists.join(" ").split(" ").filter((part) => part !== "").map(Number);
}

function killIfThere(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}
