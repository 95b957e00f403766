/**
 * What an agent is told on its standard input: `key=value` lines (FenceAgentAPI), from the configuration and
 * from the file that only root can read.
 *
 * @module
 */

import {
  PARAMETER_NAME,
  RESERVED_PARAMETERS,
  SECRET_NAME,
  whyNotValue,
} from "../config/fencing_section.ts";
import type { FencingDeviceConfig } from "../config/types.ts";

/** A file of parameters is a handful of lines. */
const FILE_MAX_BYTES = 65_536;

/** What one agent is told, beside the action. */
export interface AgentParameters {
  readonly values: ReadonlyMap<string, string>;
  /** Values that must stand in no log, alert or status. */
  readonly secrets: readonly string[];
}

/**
 * Joins the parameters of the configuration and of the file; the file wins.
 *
 * @throws {Error} when the file is not there, can be read by others than root, or is not understood; the text
 * says which, and what to do
 */
export function readParameters(device: FencingDeviceConfig): AgentParameters {
  const { parameters, parametersFile } = device;
  const fromFile = parametersFile === null ? [] : readFile(parametersFile);
  const values = new Map([...Object.entries(parameters), ...fromFile]);
  const secrets = [
    ...fromFile.map(([, value]) => value),
    ...Object.entries(parameters).filter(([name]) => SECRET_NAME.test(name)).map(([, v]) => v),
  ];
  return { values, secrets: secrets.filter((value) => value !== "") };
}

/** The lines for an agent. */
export function agentInput(action: string, { values }: AgentParameters): string {
  const lines = [...values].map(([name, value]) => `${name}=${value}`);
  return [...lines, `action=${action}`, ""].join("\n");
}

function readFile(path: string): (readonly [string, string])[] {
  const text = readPrivate(path);
  return text.split("\n").flatMap((line, index) => {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) return [];
    const at = trimmed.indexOf("=");
    const name = trimmed.slice(0, at);
    const value = trimmed.slice(at + 1);
    const why = at < 1 || !PARAMETER_NAME.test(name)
      ? "must be key=value"
      : RESERVED_PARAMETERS.includes(name)
      ? `must not give ${name}: relais says that to the agent itself`
      : whyNotValue(value);
    // The line itself may be a secret.
    if (why !== null) throw new Error(`Cannot use ${path} as its line ${index + 1} ${why}`);
    return [[name, value] as const];
  });
}

/** Looks at the file that was opened, so that it can't be another one by then. */
function readPrivate(path: string): string {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true });
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    const text = `Cannot find ${path}: make it with the agent's secrets, one key=value a line, ` +
      "owned by root, mode 0600";
    throw new Error(text, { cause });
  }
  using open = file;
  const { isFile, uid, mode, size } = open.statSync();
  if (!isFile) throw new Error(`Cannot use ${path} as it is not a file`);
  if (uid !== 0 || ((mode ?? 0) & 0o077) !== 0) {
    throw new Error(
      `Cannot use ${path} as others than root may read or change it: ` +
        `chown root:root ${path}; chmod 600 ${path}`,
    );
  }
  const bytes = new Uint8Array(Math.min(size, FILE_MAX_BYTES) + 1);
  let length = 0;
  while (length < bytes.length) {
    const count = open.readSync(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  if (length > FILE_MAX_BYTES) {
    throw new Error(`Cannot use ${path} as it is longer than ${FILE_MAX_BYTES} bytes`);
  }
  return new TextDecoder().decode(bytes.subarray(0, length));
}
