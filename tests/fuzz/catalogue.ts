/**
 * Every parser that meets bytes from outside: fuzzed, or left out for a reason. `catalogue_test.ts` fails when
 * a file of `src` looks like a parser and stands in neither list.
 *
 * @module
 */

import type { Target } from "./target.ts";
import { CONTROL_TARGETS } from "./targets/control.ts";
import { FILE_TARGETS } from "./targets/files.ts";
import { HTTP_TARGETS } from "./targets/http.ts";
import { PACKET_TARGETS } from "./targets/packets.ts";
import { RECEIVE_TARGETS } from "./targets/receive.ts";
import { STREAM_TARGETS } from "./targets/streams.ts";
import { THIRD_OPINION_TARGETS } from "./targets/third_opinions.ts";
import { TOOL_TARGETS } from "./targets/tools.ts";

/** All targets. */
export const TARGETS: readonly Target[] = [
  ...PACKET_TARGETS,
  ...HTTP_TARGETS,
  ...CONTROL_TARGETS,
  ...RECEIVE_TARGETS,
  ...STREAM_TARGETS,
  ...FILE_TARGETS,
  ...TOOL_TARGETS,
  ...THIRD_OPINION_TARGETS,
];

/** Files of `src` that look like parsers and are not fuzzed by themselves, and why. */
export const NOT_FUZZED: Readonly<Record<string, string>> = {
  "arp/link_socket.ts":
    "reads `struct sockaddr_ll` that the kernel wrote; frames go to arp/frame.ts",
  "build_info.ts": "reads what the build put into the program itself",
  "cli/cleanup_services.ts":
    "reads the own state file and which files of the daemon exist; a damaged one counts as no word",
  "cli/control_client.ts":
    "answers of the own daemon over a socket that only root may open, checked by the schemas of health/control_app.ts",
  "cli/doctor.ts": "reads the configuration by config/load.ts",
  "cli/key_order.ts":
    "one strict schema over a line of at most 4 kB whose MAC was checked (pairing/key_protocol.ts)",
  "cli/return.ts": "a schema over an answer of the own daemon",
  "config/arbiter_section.ts": "a table of the configuration: target toml (config/load.ts)",
  "config/fencing_section.ts": "a table of the configuration: target toml (config/load.ts)",
  "doctor/addresses.ts": "one array of `ip neigh`; a failing check of the doctor says so itself",
  "doctor/files.ts": "reads text and folders, takes nothing apart",
  "fencing/parameters.ts":
    "key=value lines of a file that only root can write; what is refused is in config/fencing_test.ts",
  "heartbeat/icmp.ts":
    "matches what heartbeat/icmp_frame.ts decoded; fed through a raw socket by tests/netns/fuzz_test.ts",
  "os/kernel_file.ts": "reads text, takes nothing apart",
  "os/libc.ts": "reads errno",
  "os/poller.ts": "reads `struct pollfd` that the kernel wrote",
  "os/socket.ts": "reads one number that the kernel wrote (SO_ERROR)",
  "pairing/key_protocol.ts":
    "strict schemas over one line from the peer's root over ssh, proved with the cluster key",
  "replication/astdb_inventory.ts":
    "puts together what replication/astdb_read.ts and the spool found",
  "replication/astdb_read.ts":
    "reads a file as it is; its format is told by replication/astdb_format.ts",
  "replication/database_catalog.ts": "rows of the local PostgreSQL, asked by a fixed statement",
  "replication/database_probe.ts": "rows of the local PostgreSQL, asked by a fixed statement",
  "replication/database_rights.ts": "rows of the local PostgreSQL, asked by a fixed statement",
  "replication/database_signature.ts": "rows of the local PostgreSQL, asked by a fixed statement",
  "replication/database_verify_worker.ts":
    "rows of the local PostgreSQL, asked by a fixed statement",
  "replication/left_behind.ts":
    "the own lists in /var/lib/relais, each by a schema; one that is damaged is left out",
  "replication/logical/sequences_sql.ts":
    "rows of the local PostgreSQL, asked by a fixed statement",
  "replication/logical/source_sql.ts": "rows of the local PostgreSQL, asked by a fixed statement",
  "replication/logical/target_sql.ts": "rows of the local PostgreSQL, asked by a fixed statement",
  "replication/postgres_tables.ts":
    "reads lines of the own worker process (replication/json_lines.ts)",
  "replication/receive_put.ts":
    "one strict schema over a payload that replication/stream.ts proved whole, at most 16 MB",
  "replication/return/return_source.ts": "rows of the local PostgreSQL, asked by a fixed statement",
  "replication/return/return_target.ts": "rows of the local PostgreSQL, asked by a fixed statement",
  "replication/return/return_write.ts": "rows of the local PostgreSQL, asked by a fixed statement",
  "replication/tables_worker.ts": "a job from the own parent process, over a pipe",
};
