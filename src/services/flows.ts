/**
 * Connection tracking pins the packets of one UDP flow to where the first of them went: a phone whose flow
 * began while the VIP was elsewhere may stay deaf after a move, until it has been silent for minutes
 * (https://github.com/kubernetes/kubernetes/issues/136213). So the entries of the VIPs are deleted.
 *
 * @module
 */

import { isIPv6 } from "node:net";
import { KernelFileError, readKernelFile } from "../os/kernel_file.ts";
import { run, ToolFailedError } from "../os/process.ts";

const CONNTRACK_DEADLINE_MS = 3000;

/** There only while connection tracking is in the kernel. */
const COUNT_FILE = "/proc/sys/net/netfilter/nf_conntrack_count";

/**
 * conntrack(8): original source and destination, reply source and destination. The last two differ from
 * the first where addresses are translated.
 */
const SIDES = ["--orig-dst", "--orig-src", "--reply-src", "--reply-dst"] as const;

/** Options of {@linkcode flushFlows}. */
export interface FlushOptions {
  readonly signal?: AbortSignal;
  /** How to call `conntrack`; default `["conntrack"]`. Tests enter a namespace with it. */
  readonly conntrackCommand?: readonly string[];
  /** Connection tracking is in use; default: asks the kernel. Calling the tool would load it. */
  readonly inUse?: () => boolean;
}

/**
 * Deletes the UDP entries of these addresses. Only UDP: a TCP connection of the other host is dead anyway,
 * and those of a moment ago, made with this host, must live on.
 *
 * @returns how many were deleted, in words; empty: none
 * @throws {ToolMissingError} without conntrack
 * @throws {ToolFailedError} when it fails at anything else than finding an entry
 */
export async function flushFlows(
  addresses: readonly string[],
  options: FlushOptions = {},
): Promise<string> {
  if (!(options.inUse ?? isTracking)()) return "";
  const { signal, conntrackCommand = ["conntrack"] } = options;
  let deleted = 0;
  for (const address of addresses) {
    for (const argv of flushCommands(address, conntrackCommand)) {
      const deadline = { deadlineMs: CONNTRACK_DEADLINE_MS, env: { LC_ALL: "C" } };
      const result = await run(argv, signal === undefined ? deadline : { ...deadline, signal });
      const count = deletedEntries(result.stderr);
      // "0 flow entries have been deleted" is exit status 1.
      if (result.code !== 0 && count !== 0) throw new ToolFailedError(argv, result);
      deleted += count ?? 0;
    }
  }
  return deleted === 0 ? "" : `${deleted} stale UDP flows of the VIPs deleted`;
}

/** The argument lists that delete the UDP entries of one address. */
export function flushCommands(
  address: string,
  conntrack: readonly string[],
): readonly (readonly string[])[] {
  const family = isIPv6(address) ? "ipv6" : "ipv4";
  return SIDES.map((side) => [
    ...conntrack,
    "--delete",
    ...["--family", family, "--proto", "udp", side, address],
  ]);
}

/** How many entries `conntrack --delete` says that it deleted; null: it says no such thing. */
export function deletedEntries(stderr: string): number | null {
  const match = /: (\d+) flow entries have been deleted/.exec(stderr);
  return match === null ? null : Number(match[1]);
}

function isTracking(): boolean {
  try {
    readKernelFile(COUNT_FILE);
    return true;
  } catch (error) {
    if (error instanceof KernelFileError) return false;
    throw error;
  }
}
