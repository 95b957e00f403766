/**
 * The replicator of this node, joined to the node; and what a copy that was cut left in the database.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import { type Clock, systemClock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { getLog } from "../os/log.ts";
import { PostgresDatabase } from "../replication/database.ts";
import { PostgresTables } from "../replication/postgres_tables.ts";
import { ReturnDatabase } from "../replication/return/return_database.ts";
import type { StreamSeam } from "../replication/logical/create_stream.ts";
import { Replicator } from "../replication/replicator.ts";
import { mayRead } from "./data_sets.ts";
import type { Node } from "./node.ts";
import type { Paths } from "./paths.ts";

/**
 * Makes the replicator; null when no data set is configured.
 *
 * @param options.node null while the node is being built
 */
export function createReplicator({ config, paths, clock, node }: {
  readonly config: LocalConfig;
  readonly paths: Paths;
  readonly clock: Clock;
  readonly node: () => Node | null;
}): Replicator | null {
  const { astdb, database, files } = config.replication;
  if (astdb === null && database === null && files === null) return null;
  const log = getLog("replication");
  return new Replicator({
    config,
    stateDir: paths.stateDir,
    runDir: paths.runDir,
    clock,
    log: (level, text, fields) => log[level](text, fields),
    peerAddresses: () => node()?.links.peerAddresses() ?? [],
    mayRead: () => mayRead(node()?.loop.last ?? null),
    database: database === null ? null : new PostgresDatabase(database),
    tables: database === null ? null : new PostgresTables(database),
    returning: database === null ? null : new ReturnDatabase(database),
    onReturn: (level, text) => {
      log[level](text);
      node()?.note("RETURN", text);
      if (level === "warn") node()?.alerts.raise(text);
    },
    stream: streamSeam(node),
  });
}

/** What the stream of the database is told of the node, and tells it. */
function streamSeam(node: () => Node | null): StreamSeam {
  return {
    self: () => {
      const current = node();
      const state = current?.loop.last === null ? null : current?.loop.state ?? null;
      return state === null || current === null
        ? null
        : { epoch: state.epoch, serving: current.serves, state: state.name };
    },
    peer: () => {
      const report = node()?.links.report ?? null;
      const stream = report?.body.stream ?? null;
      if (report === null || stream === null || stream.lagMs === null) return null;
      // While a seed is on its way the lag is that of the new slot, which the slave does not follow yet.
      if (!["streaming", "behind", "broken"].includes(stream.state)) return null;
      const { lagMs, lagBytes } = stream;
      return { lagMs, lagBytes: lagBytes ?? 0, heardMs: systemClock.nowMs() - report.at };
    },
    onEvent: (level, text) => {
      getLog("replication")[level](text);
      if (level === "debug") return;
      node()?.note("STREAM", text);
      if (level === "warn") node()?.alerts.raise(text);
    },
  };
}

/** After a crash in the middle of an installation: one complete database, nothing else. Takes its time. */
export function tidyDatabase(config: LocalConfig, onTrouble: (text: string) => void): void {
  const { database } = config.replication;
  if (database === null) return;
  new PostgresDatabase(database).cleanupLeftovers().catch((error: unknown) => {
    onTrouble(`Leftovers of database copies were not looked for: ${messageOf(error)}`);
  });
}
