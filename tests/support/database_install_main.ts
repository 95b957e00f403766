/**
 * Installs a received dump in a process of its own, which a test may kill: prints the name of each phase.
 * Argument: JSON of `{ config, seams: { self, workerEnv }, spoolFile }`, where `self` is a list.
 *
 * @module
 */

import { PostgresDatabase } from "../../src/replication/database.ts";

const { config, self, workerEnv, spoolFile } = JSON.parse(Deno.args[0] ?? "");
const source = new PostgresDatabase(config, {
  self: (verb) => [...self, ...verb],
  workerEnv,
});
let phase = "";
await source.install({
  payload: (await Deno.open(spoolFile)).readable,
  whole: Promise.resolve(),
  detail: {},
  signal: new AbortController().signal,
  confirm: () => Promise.resolve(),
  onProgress: (progress) => {
    if (progress.phase === phase) return;
    phase = progress.phase;
    Deno.stdout.writeSync(new TextEncoder().encode(`${phase}\n`));
  },
});
Deno.stdout.writeSync(new TextEncoder().encode("done\n"));
