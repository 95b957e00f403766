/**
 * A real Asterisk in a private directory, without modules or network: its core and its astdb.
 */
import { join } from "node:path";
import { run } from "../../src/os/process.ts";
import { systemClock } from "../../src/os/clock.ts";

/** Where the laboratory keeps the hosts' images (tests/lab), one of which may have Asterisk in it. */
const LAB_CACHE = "/var/cache/relais-lab";

/**
 * The root below which `usr/sbin/asterisk` is: `/` if it is installed, `ASTERISK_ROOT`, or an image of the
 * laboratory; null: there is none.
 */
export async function findAsterisk(): Promise<string | null> {
  const images: string[] = [];
  try {
    for await (const { name } of Deno.readDir(LAB_CACHE)) images.push(join(LAB_CACHE, name));
  } catch {
    // No laboratory was ever built here.
  }
  for (const root of [Deno.env.get("ASTERISK_ROOT") ?? "/", ...images.sort()]) {
    const found = await Deno.stat(join(root, "usr/sbin/asterisk")).catch(() => null);
    if (found?.isFile === true) return root;
  }
  return null;
}

/** One that runs. */
export class RealAsterisk {
  /** Its astdb. */
  readonly astdb: string;
  readonly #dir: string;
  readonly #root: string;
  #child: Deno.ChildProcess;

  private constructor(dir: string, root: string) {
    [this.#dir, this.#root] = [dir, root];
    this.astdb = join(dir, "db/astdb.sqlite3");
    this.#child = new Deno.Command("timeout", {
      // Whatever becomes of the test, it ends.
      args: ["--kill-after=5", "3600", this.#binary, "-C", this.#config, "-f", "-n"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
      env: this.#env,
    }).spawn();
  }

  /** Starts one with its files in `dir`, and waits until it answers. */
  static async start(dir: string, root: string): Promise<RealAsterisk> {
    for (const name of ["etc", "db", "var", "run", "log", "spool", "mod", "key", "agi"]) {
      await Deno.mkdir(join(dir, name), { recursive: true });
    }
    const places = ["etc", "mod", "varlib", "db", "key", "agi", "spool", "run", "log"]
      .map((name) => `ast${name}dir => ${join(dir, name === "varlib" ? "var" : name)}`);
    const text = ["[directories]", ...places, `astdatadir => ${join(root, "usr/share/asterisk")}`];
    await Deno.writeTextFile(join(dir, "etc/asterisk.conf"), text.join("\n") + "\n");
    await Deno.writeTextFile(join(dir, "etc/modules.conf"), "[modules]\nautoload=no\n");
    const asterisk = new RealAsterisk(dir, root);
    for (
      let tries = 0;
      !(await asterisk.#command("core show uptime")).includes("uptime");
      tries++
    ) {
      if (tries > 300) throw new Error("Asterisk does not answer");
      await systemClock.sleep(200);
    }
    return asterisk;
  }

  /** `database put`; true: Asterisk said that it did. */
  async put(family: string, key: string, value: string): Promise<boolean> {
    const said = await this.#command(`database put ${family} ${key} ${value}`);
    return said.includes("Updated database successfully");
  }

  /** Ends it in order: it commits what is open. */
  async stop(): Promise<void> {
    await this.#command("core stop now");
    await this.#child.status;
  }

  get #binary(): string {
    return join(this.#root, "usr/sbin/asterisk");
  }

  get #config(): string {
    return join(this.#dir, "etc/asterisk.conf");
  }

  get #env(): Record<string, string> {
    if (this.#root === "/") return {};
    const folders = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib"];
    return { LD_LIBRARY_PATH: folders.map((folder) => join(this.#root, folder)).join(":") };
  }

  async #command(text: string): Promise<string> {
    const { stdout, stderr } = await run([this.#binary, "-C", this.#config, "-rx", text], {
      deadlineMs: 20_000,
      env: this.#env,
    });
    return stdout + stderr;
  }
}
