/**
 * `relais stream setup|status|teardown`.
 *
 * @module
 */

import { join } from "node:path";
import { loadConfig, localConfig } from "../config/load.ts";
import { systemClock } from "../os/clock.ts";
import { run } from "../os/process.ts";
import {
  arm,
  planSetup,
  prepareBoth,
  type StreamHosts,
  survey,
  tearDown,
} from "../replication/logical/setup.ts";
import { StreamDatabase } from "../replication/logical/stream_database.ts";
import { Transport } from "../replication/transport.ts";
import { controlSocket, type Paths } from "../runtime/paths.ts";
import { findRole } from "../runtime/preflight.ts";
import { ControlClient } from "./control_client.ts";
import { EXIT } from "./exit_codes.ts";
import { megabytes } from "./sync.ts";

/** Words after `relais stream`. */
export type StreamAction = "setup" | "status" | "teardown";

/** What the verb is told. */
export interface StreamVerbOptions {
  readonly paths: Paths;
  readonly action: StreamAction;
  readonly json: boolean;
  /** Ask nothing. */
  readonly yes: boolean;
  /** Restart PostgreSQL without asking, if that is needed. */
  readonly restart: boolean;
}

const ROLE_WAIT_MS = 5000;
const RESTART_DEADLINE_MS = 120_000;
/** The daemon looks each second. */
const READY_DEADLINE_MS = 30_000;
/** The first copy of a large database. */
const SEED_DEADLINE_MS = 12 * 3_600_000;

/** Runs the verb; returns the exit status. */
export async function stream(options: StreamVerbOptions): Promise<number> {
  const { paths, action, json } = options;
  const client = new ControlClient(controlSocket(paths));
  if (action === "status") return await showStatus(client, json);
  const hosts = await findHosts(paths, client);
  try {
    return action === "setup"
      ? await setUp(hosts, client, options)
      : await takeDown(hosts, options);
  } finally {
    await hosts.database.close();
    await hosts.transport.close();
  }
}

async function findHosts(paths: Paths, client: ControlClient): Promise<StreamHosts> {
  const loaded = await loadConfig(paths.config);
  const role = await findRole(loaded, {
    known: null,
    clock: systemClock,
    signal: AbortSignal.timeout(ROLE_WAIT_MS),
    onWait: (text) => console.error(`relais: ${text}`),
  });
  const config = localConfig(loaded, role);
  const { database, transport } = config.replication;
  if (database === null) {
    throw new Error("Cannot stream the database as [replication.database] is not configured");
  }
  const { node } = await client.status();
  const peer = role === "master" ? "slave" : "master";
  const addresses = [...new Set(config.networks.map((network) => network[peer]))];
  return {
    config,
    stateDir: paths.stateDir,
    database: new StreamDatabase(database),
    transport: new Transport({
      transport,
      runDir: join(paths.runDir, "stream"),
      addresses: () => addresses,
      clock: systemClock,
    }),
    epoch: node.epoch,
  };
}

async function setUp(
  hosts: StreamHosts,
  client: ControlClient,
  options: StreamVerbOptions,
): Promise<number> {
  const { config } = hosts;
  const database = config.replication.database!;
  const found = await survey(hosts);
  const plan = planSetup(found, { mode: database.mode, role: config.role });
  const state = (await client.status()).stream?.state ?? null;
  if (plan.obstacles.length === 0 && state === null) {
    return end(options, false, [
      'the daemon does not know of mode = "stream" yet: run on both hosts: relais reload',
    ]);
  }
  if (plan.obstacles.length > 0) return end(options, false, plan.obstacles);
  for (const text of plan.notCarried) {
    tell(options, `not carried by the stream, only by the daily copy: ${text}`);
  }
  if (plan.steps.length === 0) return end(options, true, ["the stream is set up already"]);
  tell(options, "This will be done:");
  for (const text of plan.steps) tell(options, `  ${text}`);
  if (!await agreed(options, "Go on?")) return end(options, false, ["nothing was changed"]);
  for (const text of await prepareBoth(hosts, found)) tell(options, text);
  if (plan.needsRestart && !await restartPostgres(found.here.dataDirectory, options)) {
    return end(options, false, [
      `PostgreSQL must be restarted: ${restartCommand(found.here.dataDirectory).join(" ")}; ` +
      "then run again: relais stream setup",
    ]);
  }
  await arm(hosts);
  const why = await seeded(client, options);
  return end(options, why === null, [why ?? "the slave follows the database"]);
}

async function takeDown(hosts: StreamHosts, options: StreamVerbOptions): Promise<number> {
  tell(
    options,
    "The stream will be taken down on both hosts: subscription, slots, publication, role.",
  );
  tell(options, "The database of the slave stays as it is; whole copies go on. wal_level stays.");
  if (!await agreed(options, "Go on?")) return end(options, false, ["nothing was changed"]);
  const { done, failed } = await tearDown(hosts);
  for (const text of done) tell(options, text);
  if (failed.length > 0) return end(options, false, failed);
  const next = hosts.config.replication.database!.mode === "stream"
    ? ['write mode = "copy" into [replication.database] on both hosts, then: relais reload']
    : [];
  return end(options, true, [
    done.length === 0 ? "nothing of the stream was left" : "the stream is taken down",
    ...next,
  ]);
}

async function showStatus(client: ControlClient, json: boolean): Promise<number> {
  const { stream, peer, node } = await client.status();
  const seen = stream !== null && node.role === "master" ? stream : peer.report?.stream ?? null;
  if (json) {
    console.log(JSON.stringify({ stream, peer: peer.report?.stream ?? null }));
    return EXIT.ok;
  }
  if (stream === null) {
    console.log('The database is copied, not streamed (mode = "copy")');
    return EXIT.ok;
  }
  const from = seen === stream ? "" : " (as the peer says)";
  console.log(seen === null ? "The peer says nothing of the stream" : streamSentence(seen) + from);
  if (stream.why !== "") console.log(stream.why);
  if (stream.synchronous) console.log("Commits wait for the slave");
  return EXIT.ok;
}

/** `streaming, 3 ms and 120 bytes behind`. */
function streamSentence(
  seen: { readonly state: string; readonly lagMs: number | null; readonly lagBytes: number | null },
): string {
  const lag = seen.lagMs === null
    ? ""
    : `, ${seen.lagMs} ms and ${seen.lagBytes ?? 0} bytes behind`;
  return `${seen.state}${lag}`;
}

/** Debian's way for a cluster of Debian's, systemd's for all others. */
function restartCommand(dataDirectory: string): string[] {
  const [, version, cluster] = /^\/var\/lib\/postgresql\/([0-9.]+)\/([^/]+)$/.exec(dataDirectory) ??
    [];
  const unit = version === undefined ? "postgresql.service" : `postgresql@${version}-${cluster}`;
  return ["systemctl", "restart", unit];
}

async function restartPostgres(
  dataDirectory: string,
  options: StreamVerbOptions,
): Promise<boolean> {
  const command = restartCommand(dataDirectory);
  tell(options, `PostgreSQL must be restarted for wal_level: ${command.join(" ")}`);
  tell(options, "All of its sessions end once; the PBX connects again after a second or two.");
  if (!options.restart && (options.yes || !await agreed(options, "Restart it now?"))) return false;
  const { code, stderr } = await run(command, { deadlineMs: RESTART_DEADLINE_MS });
  if (code === 0) return true;
  console.error(`relais: ${command.join(" ")}: ${stderr.trim()}`);
  return false;
}

/** Shows the first copy until the slave follows it. @returns why it does not; null: it does */
async function seeded(client: ControlClient, options: StreamVerbOptions): Promise<string | null> {
  const began = performance.now();
  let failure: string | null = null;
  let said = "";
  const { status } = await client.waitFor((seen) => {
    const state = seen.stream?.state ?? "off";
    const sent = seen.dataSets.find((each) => each.set === "database" && each.direction === "sent");
    const running = sent?.running ?? null;
    if (running !== null) {
      const { phase, doneBytes, totalBytes } = running;
      const total = totalBytes === null ? "" : ` of ${megabytes(totalBytes)}`;
      const line = `${phase}: ${megabytes(doneBytes)}${total}`;
      if (options.json) {
        console.log(JSON.stringify({ progress: { phase, bytes: doneBytes, totalBytes } }));
      } else if (Deno.stderr.isTerminal()) print(`\r\x1b[K${line}`);
      else if (said !== phase) print(`${phase}\n`);
      said = phase;
    }
    const asleep = state === "off" || state === "unprepared";
    if (asleep && performance.now() - began > READY_DEADLINE_MS) {
      failure = `the daemon does not begin: ${seen.stream?.why ?? "it knows of no stream"}`;
    }
    const failedAt = Date.parse(sent?.lastErrorAt ?? "");
    if (running === null && sent?.lastError && failedAt >= performance.timeOrigin + began) {
      failure = `the first copy failed and will be tried again: ${sent.lastError}`;
    }
    return failure !== null || state === "streaming";
  }, { deadlineMs: SEED_DEADLINE_MS });
  if (said !== "" && Deno.stderr.isTerminal() && !options.json) print("\r\x1b[K");
  if (failure !== null) return failure;
  return status?.stream?.state === "streaming"
    ? null
    : "the slave does not follow yet; see: relais status";
}

function print(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}

function tell({ json }: StreamVerbOptions, text: string): void {
  if (!json) console.log(text);
}

async function agreed({ yes, json }: StreamVerbOptions, question: string): Promise<boolean> {
  if (yes) return true;
  if (json || !Deno.stdin.isTerminal()) {
    console.error(`relais: Cannot ask here ("${question}"): run again with --yes`);
    return false;
  }
  await Promise.resolve();
  return /^y(es)?$/i.test(prompt(`${question} [y/N]`) ?? "");
}

function end({ json }: StreamVerbOptions, ok: boolean, texts: readonly string[]): number {
  if (json) console.log(JSON.stringify({ ok, text: texts.join("; ") }));
  else for (const text of texts) ok ? console.log(text) : console.error(`relais: ${text}`);
  return ok ? EXIT.ok : EXIT.failed;
}
