/**
 * `<stateDir>/kept/<time>-<what>/`: files that relais took out of their place or could not bring to the
 * peer. Nothing of theirs is lost; an operator finds them there. Removed after 90 days.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { runOk } from "../os/process.ts";
import { spawnTool } from "../os/process.ts";
import { writeFileAtomically } from "../os/durable_file.ts";

/** Folders older than this are removed when another one is made. */
const KEPT_DAYS = 90;
const SAVE_DEADLINE_MS = 60_000;

/** Where all of them are. */
export function keptRoot(stateDir: string): string {
  return join(stateDir, "kept");
}

/** One folder; it is made on disk with the first thing that is put into it. */
export class KeptFolder {
  readonly directory: string;
  readonly #root: string;
  readonly #wallMs: number;
  #made = false;

  /** @param what a word for the name, e.g. `returned` */
  constructor(stateDir: string, what: string, wallMs: number) {
    this.#root = keptRoot(stateDir);
    this.#wallMs = wallMs;
    const stamp = new Date(wallMs).toISOString().replaceAll(/[:.]/g, "-");
    this.directory = join(this.#root, `${stamp}-${what}`);
  }

  /** Whether anything was put into it. */
  get isUsed(): boolean {
    return this.#made;
  }

  /** Moves `path` (absolute) into the folder, under its own path; copies it across file systems. */
  async moveIn(path: string): Promise<void> {
    await this.#make();
    const place = join(this.directory, path);
    await Deno.mkdir(dirname(place), { recursive: true, mode: 0o700 });
    try {
      await Deno.rename(path, place);
    } catch (cause) {
      if ((cause as { readonly code?: unknown }).code !== "EXDEV") throw cause;
      await runOk(["cp", "--archive", "--no-target-directory", "--", path, place], {
        deadlineMs: SAVE_DEADLINE_MS,
      });
      await Deno.remove(path);
    }
  }

  /**
   * Keeps the files `names` (relative) of `path` under their own path: as hard links, which need no room, or
   * as copies on another file system. Names that have gone meanwhile are passed over.
   *
   * @throws when the disk is full, or it takes longer than a minute
   */
  async keep(path: string, names: readonly string[]): Promise<void> {
    await this.#make();
    const place = join(this.directory, path);
    await Deno.mkdir(place, { recursive: true, mode: 0o700 });
    const child = spawnTool("rsync", {
      args: ["-aHAX", "--numeric-ids", "--from0", "--files-from=-", `--link-dest=${path}/`]
        .concat(["--", `${path}/`, `${place}/`]),
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
      env: { LC_ALL: "C" },
      signal: AbortSignal.timeout(SAVE_DEADLINE_MS),
    });
    const said = new Response(child.stderr).text();
    const list = new Blob(names.map((name) => `${name}\0`)).stream();
    await list.pipeTo(child.stdin).catch(() => {}); // Its exit status says why.
    const { code } = await child.status;
    const message = (await said).trim().slice(0, 500);
    const vanished = code === 23 && /No such file/.test(message) || code === 24;
    if (code !== 0 && !vanished) {
      throw new Error(
        `Cannot keep files of ${path} in ${place}: rsync exited with ${code}: ${message}`,
      );
    }
  }

  /** Writes a text beside what is kept. */
  async note(name: string, text: string): Promise<void> {
    await this.#make();
    await writeFileAtomically(join(this.directory, name), text);
  }

  async #make(): Promise<void> {
    if (this.#made) return;
    await Deno.mkdir(this.directory, { recursive: true, mode: 0o700 });
    this.#made = true;
    await this.#removeOld();
  }

  async #removeOld(): Promise<void> {
    const limitMs = this.#wallMs - KEPT_DAYS * 86_400_000;
    for await (const { name, isDirectory } of Deno.readDir(this.#root)) {
      const [, day, hour, minute] = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-/.exec(name) ?? [];
      if (!isDirectory || minute === undefined) continue;
      if (Date.parse(`${day}T${hour}:${minute}:00Z`) >= limitMs) continue;
      await Deno.remove(join(this.#root, name), { recursive: true });
    }
  }
}
