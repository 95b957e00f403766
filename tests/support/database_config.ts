/**
 * `[replication.database]` of a test's own PostgreSQL.
 *
 * @module
 */

import type { DatabaseConfig } from "../../src/config/types.ts";
import { DATABASE } from "../../src/replication/peer_fixture.ts";
import type { TestCluster } from "./postgres.ts";

/** Copies `name` of `cluster`, by hand only; `more` is what the test is about. */
export function databaseConfig(
  cluster: TestCluster,
  name: string,
  more: Partial<DatabaseConfig> = {},
): DatabaseConfig {
  return {
    ...DATABASE,
    url: cluster.url(name),
    name,
    socketDir: cluster.directory,
    port: cluster.port,
    osUser: cluster.osUser,
    everyMs: 86_400_000,
    delta: true,
    ...more,
  };
}
