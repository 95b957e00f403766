import assert from "node:assert/strict";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { systemClock } from "../os/clock.ts";
import { libc } from "../os/libc.ts";
import { LocalHost } from "./local_host.ts";
import { servePairing } from "./serve.ts";

libc(); // Loaded once for the whole process: no test leaks it.

/** A host whose files are all in a folder of the test. */
class Served implements Disposable {
  readonly folder = new TempDirectory();
  readonly answers: { readonly ok: boolean; readonly error?: string; readonly answer?: unknown }[] =
    [];
  readonly #abort = new AbortController();

  get path(): string {
    return this.folder.path;
  }

  config(): string {
    return `[cluster]
name = "siege"
[[networks]]
name = "voip"
master = "10.20.0.11"
slave = "10.20.0.12"
prefix = 24
[replication.ssh]
identity_file = "${this.path}/ssh/id"
known_hosts_file = "${this.path}/ssh/known_hosts"
`;
  }

  inspection(config: string | null = this.config()): unknown {
    const paths = { config: `${this.path}/relais.toml`, key: `${this.path}/cluster.key` };
    return { do: "inspect", config, paths, program: "/usr/sbin/relais" };
  }

  /** One session with these requests; then the connection is cut. */
  async session(...requests: readonly unknown[]): Promise<boolean> {
    const host = new LocalHost({
      clock: systemClock,
      ownAddresses: () => Promise.resolve(["10.20.0.12"]),
      defaultConfig: "/etc/relais/relais.toml",
      system: { authorizedKeys: `${this.path}/root/keys`, hostKey: `${this.path}/host.pub` },
      signal: this.#abort.signal,
    });
    const lines = requests.map((request) =>
      typeof request === "string" ? request : `${JSON.stringify(request)}\n`
    );
    let said = "";
    const whole = await servePairing({
      greeting: { relais: "pair-peer", protocol: 1, version: "test", problem: null },
      host,
      input: ReadableStream.from(lines.map((line) => new TextEncoder().encode(line))),
      write: (bytes) => {
        said += new TextDecoder().decode(bytes);
        return Promise.resolve();
      },
      warn: () => {},
      clock: systemClock,
      signal: this.#abort.signal,
    });
    const [greeting, ...answers] = said.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.equal(greeting.relais, "pair-peer");
    this.answers.splice(0, Infinity, ...answers);
    return whole;
  }

  files(folder = ""): string[] {
    return [...Deno.readDirSync(this.path + folder)].flatMap(({ name, isDirectory }) =>
      isDirectory ? this.files(`${folder}/${name}`) : [`${folder}/${name}`]
    ).sort();
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
  }
}

const WRITE = { do: "write", file: "knownHosts", text: "10.20.0.11 key\n", backup: false };

Deno.test("servePairing() takes everything back when the session is cut before it was kept", async () => {
  using served = new Served();
  const whole = await served.session(served.inspection(), { do: "make-identity" }, WRITE);
  assert.deepEqual(served.answers.map(({ ok }) => ok), [true, true, true]);
  assert.equal(whole, false);
  assert.deepEqual([...Deno.readDirSync(served.path)], [], "folders too");
});

Deno.test("servePairing() leaves what was kept, and only that", async () => {
  using served = new Served();
  const authorize = { ...WRITE, file: "authorizedKeys" };
  const cut = '{"do": "write", "file": "config"'; // The connection ends in the middle of a line.
  const steps = [{ do: "make-identity" }, WRITE, { do: "keep" }, authorize, cut];
  assert.equal(await served.session(served.inspection(), ...steps), false);
  assert.deepEqual(served.files(), ["/ssh/id", "/ssh/id.pub", "/ssh/known_hosts"]);
  assert.equal(await served.session(served.inspection(), { do: "keep" }), true);
  const facts = served.answers[0]?.answer as Record<string, unknown>;
  assert.match(String(facts["identity"]), /^ssh-ed25519 /);
  assert.equal(facts["role"], "slave");
  assert.deepEqual(facts["command"], [
    ...["/usr/sbin/relais", "receive"],
    ...["--config", `${served.path}/relais.toml`],
  ]);
});

Deno.test("servePairing() makes the public half anew when it does not fit, and keeps the private one", async () => {
  using served = new Served();
  await served.session(served.inspection(), { do: "make-identity" }, { do: "keep" });
  const key = Deno.readTextFileSync(`${served.path}/ssh/id`);
  const first = served.answers[1]?.answer;
  Deno.writeTextFileSync(`${served.path}/ssh/id.pub`, "ssh-ed25519 of somebody else\n");
  await served.session(served.inspection(), { do: "make-identity" }, { do: "keep" });
  assert.equal((served.answers[0]?.answer as { identity: unknown }).identity, null);
  assert.deepEqual(served.answers[1]?.answer, first);
  assert.equal(Deno.readTextFileSync(`${served.path}/ssh/id`), key);
});

Deno.test("servePairing() answers in words what it does not understand, and changes nothing", async () => {
  using served = new Served();
  const wrong: readonly unknown[] = [
    "no json\n",
    { do: "shell", command: "reboot" },
    { do: "write", file: "/etc/passwd", text: "", backup: false },
    WRITE, // before it looked
    served.inspection("[cluster]\ncolour = 1\n"),
    { ...(served.inspection() as Record<string, unknown>), paths: { config: "x", key: "y" } },
  ];
  assert.equal(await served.session(...wrong), true);
  assert.deepEqual(served.answers.map(({ ok }) => ok), wrong.map(() => false));
  for (const { error } of served.answers) assert.notEqual(error ?? "", "");
  assert.deepEqual(served.files(), []);
});
