/**
 * The replicator of this node, joined to the node; and what a copy that was cut left in the database.
 *
 * @module
 */

import type { LocalConfig } from "../config/types.ts";
import type { Clock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { getLog } from "../os/log.ts";
import { PostgresDatabase } from "../replication/database.ts";
import { Replicator } from "../replication/replicator.ts";
import { mayRead } from "./data_sets.ts";
import type { Node } from "./node.ts";
import { Repeats } from "./repeats.ts";
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
  const repeats = new Repeats(clock);
  return new Replicator({
    config,
    stateDir: paths.stateDir,
    runDir: paths.runDir,
    clock,
    log: (level, text, fields) => log[level](text, fields),
    peerAddresses: () => node()?.links.peerAddresses() ?? [],
    onCopyEnd: (set, error) => {
      if (error === null) return repeats.over(set);
      const text = `The ${set} could not be copied to the peer: ${messageOf(error)}`;
      const news = repeats.next(set, text);
      if (news !== null) node()?.note("COPY", news);
    },
    mayRead: () => mayRead(node()?.loop.last ?? null),
    database: database === null ? null : new PostgresDatabase(database),
  });
}

/** After a crash in the middle of an installation: one complete database, nothing else. Takes its time. */
export function tidyDatabase(config: LocalConfig, onTrouble: (text: string) => void): void {
  const { database } = config.replication;
  if (database === null) return;
  new PostgresDatabase(database).cleanupLeftovers().catch((error: unknown) => {
    onTrouble(`Leftovers of database copies were not looked for: ${messageOf(error)}`);
  });
}
