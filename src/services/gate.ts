/**
 * The gate: while the flag file is absent, a drop-in on each unit makes systemd skip every start of it, be
 * it by the boot, an upgrade, `Restart=always` or cron. The flag lies in the run directory, so that the
 * gate is closed after each boot. A unit that runs goes on running when the gate closes.
 *
 * @module
 */

import { resolve } from "node:path";
import { writeSmallFile } from "../os/durable_file.ts";
import { messageOf } from "../os/errors.ts";
import { runOk } from "../os/process.ts";
import { DROP_IN_NAME, dropInText, isOurDropIn } from "./gate_drop_in.ts";

/** systemd reads all of its units again: seconds on a host that boots. */
const RELOAD_DEADLINE_MS = 60_000;

/** Options of {@linkcode Gate}. */
export interface GateOptions {
  /** The units to be gated; empty: none (driver `command`, or `services.gate = false`). */
  readonly units: readonly string[];
  readonly runDir: string;
  /** Where systemd looks for an administrator's units: `/etc/systemd/system`. */
  readonly unitDir: string;
  /** Program to run; default: `systemctl` of PATH. */
  readonly systemctl?: string;
}

/** How the gate stands. */
export interface GateState {
  /** Units with our drop-in, as it shall be. */
  readonly installed: readonly string[];
  /** Units that should have it and have not. */
  readonly missing: readonly string[];
  readonly open: boolean;
  /** The file that opens the gate. */
  readonly flag: string;
}

/** See the module. */
export class Gate {
  readonly #units: readonly string[];
  readonly #unitDir: string;
  readonly #systemctl: string;
  readonly #flag: string;
  readonly #text: string;

  constructor(options: GateOptions) {
    this.#units = options.units;
    this.#unitDir = resolve(options.unitDir);
    this.#systemctl = options.systemctl ?? "systemctl";
    this.#flag = gateFlag(options.runDir);
    this.#text = dropInText(this.#flag);
  }

  /** Lets the units start. @throws when the run directory refuses */
  open(): void {
    Deno.writeTextFileSync(this.#flag, "", { mode: 0o644 });
  }

  /** Keeps the units from starting; those that run go on. @throws when the run directory refuses */
  close(): void {
    removeFile(this.#flag);
  }

  /** Reads the files; never throws: what can't be read is missing. */
  state(): GateState {
    const installed = this.#units.filter((unit) => readFile(this.#path(unit)) === this.#text);
    const missing = this.#units.filter((unit) => !installed.includes(unit));
    return { installed, missing, open: exists(this.#flag), flag: this.#flag };
  }

  /**
   * Writes what is missing or different, removes our drop-ins from units that are no longer configured,
   * and lets systemd read its units again if anything changed. Safe to repeat.
   *
   * @returns what was changed, in words
   * @throws {GateError} naming every file that could not be dealt with; the others were
   */
  async install(): Promise<readonly string[]> {
    const changes: string[] = [];
    const problems: string[] = [];
    for (const unit of this.#units) {
      attempt(problems, () => this.#write(unit) && changes.push(`${unit} is behind the gate`));
    }
    // Another relais of this machine (another run directory) keeps its own.
    const strangers = ours(this.#unitDir).filter(({ unit, text }) =>
      !this.#units.includes(unit) && conditionOf(text) === conditionOf(this.#text)
    );
    for (const { unit } of strangers) {
      attempt(problems, () => {
        removeDropIn(this.#unitDir, unit);
        changes.push(`${unit} is no longer behind the gate`);
      });
    }
    if (changes.length > 0) await this.#reload(problems);
    if (problems.length > 0) throw new GateError(problems);
    return changes;
  }

  /** True: the file was written; false: it was as it shall be. */
  #write(unit: string): boolean {
    const path = this.#path(unit);
    const before = readFile(path);
    if (before === this.#text) return false;
    if (before !== null && !isOurDropIn(before)) {
      throw new Error(
        `Cannot put ${unit} behind the gate as ${path} was not made by relais: rename that file`,
      );
    }
    try {
      Deno.mkdirSync(`${this.#unitDir}/${unit}.d`, { recursive: true, mode: 0o755 });
      // systemd reads only *.conf: half a file is never seen.
      writeSmallFile(path, this.#text, { sync: false, mode: 0o644 });
    } catch (cause) {
      attempt([], () => removeFile(`${path}.tmp`));
      throw new Error(
        `Cannot put ${unit} behind the gate as ${path} could not be written: ${messageOf(cause)}`,
        { cause },
      );
    }
    return true;
  }

  async #reload(problems: string[]): Promise<void> {
    try {
      await reloadSystemd(this.#systemctl);
    } catch (error) {
      problems.push(`Cannot make systemd read the drop-ins of the gate: ${messageOf(error)}`);
    }
  }

  #path(unit: string): string {
    return `${this.#unitDir}/${unit}.d/${DROP_IN_NAME}`;
  }
}

/** Some drop-ins could not be dealt with. */
export class GateError extends Error {
  override readonly name = "GateError";
  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }
}

/** The file whose existence lets the services start. */
export function gateFlag(runDir: string): string {
  return `${resolve(runDir)}/serving`;
}

/**
 * Removes every drop-in of relais below `unitDir`, whatever its configuration says by now, and lets
 * systemd read its units again if there was one: afterwards the units start as they did without relais.
 *
 * @returns what was removed, in words
 * @throws {GateError} naming what could not be removed
 */
export async function removeGate(options: {
  readonly unitDir: string;
  readonly systemctl?: string;
}): Promise<readonly string[]> {
  const unitDir = resolve(options.unitDir);
  const removed: string[] = [];
  const problems: string[] = [];
  for (const { unit } of ours(unitDir)) {
    attempt(problems, () => {
      removeDropIn(unitDir, unit);
      removed.push(`drop-in of the gate removed from ${unit}`);
    });
  }
  if (removed.length > 0) {
    try {
      await reloadSystemd(options.systemctl ?? "systemctl");
    } catch (error) {
      problems.push(`${messageOf(error)}. Run: systemctl daemon-reload`);
    }
  }
  if (problems.length > 0) throw new GateError(problems);
  return removed;
}

/** The units below `unitDir` that are behind the gate of this run directory, in a fixed order. */
export function gatedUnits(
  options: { readonly unitDir: string; readonly runDir: string },
): readonly string[] {
  const condition = conditionOf(dropInText(gateFlag(options.runDir)));
  return ours(resolve(options.unitDir))
    .filter(({ text }) => conditionOf(text) === condition)
    .map(({ unit }) => unit);
}

async function reloadSystemd(systemctl: string): Promise<void> {
  await runOk([systemctl, "daemon-reload"], { deadlineMs: RELOAD_DEADLINE_MS });
}

/** Our drop-ins below `unitDir`, by name and mark, in a fixed order. */
function ours(unitDir: string): { readonly unit: string; readonly text: string }[] {
  const found: { unit: string; text: string }[] = [];
  for (const name of listFolder(unitDir)) {
    if (!name.endsWith(".d")) continue;
    const text = readFile(`${unitDir}/${name}/${DROP_IN_NAME}`);
    if (text !== null && isOurDropIn(text)) found.push({ unit: name.slice(0, -2), text });
  }
  return found.sort((a, b) => a.unit < b.unit ? -1 : 1);
}

/** Removes the file, and the folder if nothing else is in it. */
function removeDropIn(unitDir: string, unit: string): void {
  const folder = `${unitDir}/${unit}.d`;
  removeFile(`${folder}/${DROP_IN_NAME}`);
  if (listFolder(folder).length === 0) Deno.removeSync(folder);
}

function conditionOf(text: string): string | undefined {
  return text.split("\n").find((line) => line.startsWith("ConditionPathExists="));
}

function attempt(problems: string[], work: () => void): void {
  try {
    work();
  } catch (error) {
    problems.push(messageOf(error));
  }
}

/** The names in a folder; none when there is no such folder. */
function listFolder(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].map(({ name }) => name);
  } catch (error) {
    const { NotFound, NotADirectory } = Deno.errors;
    if (error instanceof NotFound || error instanceof NotADirectory) return [];
    throw error;
  }
}

/** The text of a file; null when it is not there or can't be read. */
function readFile(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return null;
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
