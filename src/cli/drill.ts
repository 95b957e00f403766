/**
 * `relais drill --dry-run`: everything that a takeover (where the node serves: a hand-over) would do, step
 * by step, checked and not done.
 *
 * @module
 */

import { writeAll } from "../os/write_all.ts";
import { controlSocket, type Paths } from "../runtime/paths.ts";
import { ControlClient } from "./control_client.ts";
import { examineHost, readLocalConfig } from "./doctor.ts";
import { formatDrill, judgeMove } from "./drill_judge.ts";
import { EXIT } from "./exit_codes.ts";

/** Judges and prints. @returns 0 if the move would work, 1 if not */
export async function drill({ paths, json }: {
  readonly paths: Paths;
  readonly json: boolean;
}): Promise<number> {
  const config = await readLocalConfig(paths, json);
  if (typeof config === "number") return config;
  // Without a daemon there is no takeover: that is told with its own exit status.
  const status = await new ControlClient(controlSocket(paths)).status();
  const { findings } = await examineHost({ config, paths, status: () => Promise.resolve(status) });
  const path = Deno.env.get("PATH");
  const judged = await judgeMove({ config, status, stateDir: paths.stateDir, path }, findings);
  const text = json ? JSON.stringify(judged, null, 2) : formatDrill(judged);
  await writeAll(Deno.stdout, new TextEncoder().encode(`${text}\n`));
  return judged.works ? EXIT.ok : EXIT.failed;
}
