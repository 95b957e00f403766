/**
 * The service that stands in for Asterisk (see `pbx_main.ts` for what it is not).
 *
 * @module
 */

import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("./pbx.sh", import.meta.url));

/** Argument lists for the `command` service driver. */
export const PBX_COMMANDS = {
  start: ["/bin/sh", SCRIPT, "start", Deno.execPath()],
  stop: ["/bin/sh", SCRIPT, "stop"],
  status: ["/bin/sh", SCRIPT, "status"],
} as const;

/** A file in a host that makes the start of the PBX fail while it exists. */
export const PBX_BROKEN_FILE = "/etc/test-pbx/broken";
/** A file in a host with the seconds that a start of the PBX takes longer. */
export const PBX_START_DELAY_FILE = "/etc/test-pbx/start_delay_s";
/** Holds the process id of the running PBX (the host's numbering). */
export const PBX_PID_FILE = "/run/test-pbx/pid";
