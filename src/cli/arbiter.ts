/**
 * `relais arbiter status`: the right to serve as the daemon sees it, and each endpoint asked now.
 *
 * @module
 */

import { Endpoints } from "../arbiter/endpoints.ts";
import { identifyRole, IdentityError, loadConfig, localConfig } from "../config/load.ts";
import type { Config, LocalConfig } from "../config/types.ts";
import { messageOf } from "../os/errors.ts";
import { ownAddresses } from "../runtime/preflight.ts";
import { type ArbiterReport, formatArbiterReport } from "./arbiter_text.ts";
import type { ControlClient } from "./control_client.ts";
import { EXIT } from "./exit_codes.ts";

/** Prints it. Exit status 0: every endpoint answers (or there is no arbiter); 1: one does not. */
export async function arbiterStatus(
  client: Pick<ControlClient, "status">,
  { config: path, json }: {
    readonly config: string;
    readonly json: boolean;
  },
): Promise<number> {
  const config = await loadConfig(path);
  if (config.arbiter === null) {
    console.log(
      json ? JSON.stringify(null) : `There is no [arbiter] in ${path} (docs/arbiter.md says how)`,
    );
    return EXIT.ok;
  }
  const endpoints = new Endpoints(config.arbiter, await ownView(config));
  const { endpoints: urls } = config.arbiter;
  try {
    const [said, told] = await Promise.all([
      endpoints.each(),
      client.status().then(
        ({ arbiter }) => ({ daemon: arbiter, daemonError: null }),
        (error: unknown) => ({ daemon: null, daemonError: messageOf(error) }),
      ),
    ]);
    const report: ArbiterReport = {
      ...told,
      endpoints: said.map((each, n) => ({ url: urls[n] ?? "", ...each })),
    };
    console.log(json ? JSON.stringify(report, null, 2) : formatArbiterReport(report).join("\n"));
    return said.every(({ answers }) => answers) ? EXIT.ok : EXIT.failed;
  } finally {
    endpoints.close();
  }
}

/** This host's; null: it has the addresses of neither, or of both. */
async function ownView(config: Config): Promise<LocalConfig | null> {
  try {
    return localConfig(config, identifyRole(config, await ownAddresses()));
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    return null;
  }
}
