/**
 * Runs a fence agent: the program that switches a host off. The interface is the FenceAgentAPI of the
 * ClusterLabs project (github.com/ClusterLabs/fence-agents, doc/FenceAgentAPI.md), which every program of
 * Debian's package `fence-agents` speaks: `key=value` lines on standard input, `action` among them; exit
 * status 0 is success; `status` ends with 0 when the power is on and with 2 when it is off.
 *
 * @module
 */

import type { FencingDeviceConfig } from "../config/types.ts";
import { findProgram, whyNotTrusted } from "../os/program.ts";
import { run } from "../os/process.ts";
import { agentInput, readParameters } from "./parameters.ts";

/** What an agent can be asked for. */
export type AgentAction = "off" | "on" | "reboot" | "status" | "monitor" | "metadata";

/** How an agent ended. */
export interface AgentResult {
  readonly code: number;
  /** What it said, one line without secrets, shortened. */
  readonly said: string;
  /** Its standard output, for `metadata`. */
  readonly stdout: string;
}

/** Asks an agent; the simulation has its own. */
export type AgentRunner = (
  device: FencingDeviceConfig,
  action: AgentAction,
  options: { readonly deadlineMs: number; readonly signal?: AbortSignal },
) => Promise<AgentResult>;

/** Where an agent that is named without a path is looked for: where Debian has all of them. */
export const AGENT_FOLDER = "/usr/sbin";

/** What agents find programs in (`ipmitool`, `ssh`, …); nothing that an environment could change. */
const AGENT_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** What an agent said is cut at this length. */
const SAID_MAX = 300;

/**
 * The file of an agent.
 *
 * @throws {Error} when it is not there, or others than root could change what it does
 */
export function agentFile(name: string): string {
  const file = findProgram(name, AGENT_FOLDER);
  if (file === null) {
    throw new Error(
      `Cannot run the fence agent ${name} as it is not installed` +
        (name.startsWith("/")
          ? ": install it or correct its path"
          : `: run: apt install fence-agents`),
    );
  }
  const why = whyNotTrusted(file);
  if (why === null) return file;
  throw new Error(`Cannot run ${file} as root as ${why}: chown root and chmod go-w`);
}

/**
 * Runs an agent, in a process group of its own that is killed when the deadline is over or `signal` aborts.
 *
 * @throws {Error} when the agent or its file of parameters cannot be used
 * @throws {ToolTimeoutError} when it took longer than `deadlineMs`
 * @throws the reason of `signal` when it aborts
 */
export const runAgent: AgentRunner = async (device, action, { deadlineMs, signal }) => {
  const file = agentFile(device.agent);
  // An agent tells of itself without being able to reach anything.
  const parameters = action === "metadata"
    ? { values: new Map<string, string>(), secrets: [] }
    : readParameters(device);
  const { code, stdout, stderr } = await run([file], {
    stdin: agentInput(action, parameters),
    deadlineMs,
    ...(signal === undefined ? {} : { signal }),
    env: { PATH: AGENT_PATH, LANG: "C.UTF-8", HOME: "/root" },
    clearEnv: true,
    ownGroup: true,
  });
  return { code, stdout, said: said(stderr.trim() === "" ? stdout : stderr, parameters.secrets) };
};

/** The last words are the reason; the first ones are how it came to it. */
function said(output: string, secrets: readonly string[]): string {
  let text = output.slice(-4096);
  for (const secret of secrets) text = text.replaceAll(secret, "***");
  const lines = text.split("\n").map((line) => line.replaceAll(/\p{Cc}/gu, " ").trim());
  const last = lines.findLast((line) => line !== "") ?? "";
  // Without the time in front (fencing.py): the same trouble again is the same alert.
  return last.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} /, "").slice(0, SAID_MAX);
}
