/**
 * The program: argument list → verb. The only place that listens to signals and exits.
 *
 * @module
 */

import { runCli } from "./cli/program.ts";
import type { DaemonHandle } from "./cli/daemon.ts";
import { isRestartRequested } from "./cli/restart_request.ts";

const handle: DaemonHandle = { daemon: null, abort: new AbortController() };
let asked = 0;

function onLeave(): void {
  // A second signal forces: whatever hangs, the kernel drops the VIPs by itself within 3 s.
  if (++asked > 1) Deno.exit(1);
  leave().catch((error: unknown) => {
    console.error(error);
    Deno.exit(1);
  });
}

async function leave(): Promise<void> {
  if (handle.daemon === null) {
    handle.abort.abort();
    return;
  }
  if (await isRestartRequested()) handle.daemon.leaveForRestart();
  else handle.daemon.leave();
}

handle.onDaemon = (): void => {
  Deno.addSignalListener("SIGTERM", onLeave);
  Deno.addSignalListener("SIGINT", onLeave);
  Deno.addSignalListener("SIGUSR1", () => handle.daemon?.leaveForRestart());
  // While the daemon is being built it reads the file anyway.
  Deno.addSignalListener("SIGHUP", () => {
    handle.daemon?.reload().catch((error: unknown) => console.error(error));
  });
};

handle.onRequest = (verb): void => {
  // No signal forces: what waits in there has deadlines, and a swap of databases is never broken off.
  for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    Deno.addSignalListener(name, () => {
      handle.abort.abort(new Error(`Cannot go on as ${verb} was asked to end (${name})`));
    });
  }
};

Deno.exit(await runCli(Deno.args, handle));
