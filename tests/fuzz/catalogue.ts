/**
 * Every parser that meets bytes from outside: fuzzed, or left out for a reason. `catalogue_test.ts` fails when
 * a file of `src` looks like a parser and stands in neither list.
 *
 * @module
 */

import type { Target } from "./target.ts";
import { FILE_TARGETS } from "./targets/files.ts";
import { HTTP_TARGETS } from "./targets/http.ts";
import { PACKET_TARGETS } from "./targets/packets.ts";
import { RECEIVE_TARGETS } from "./targets/receive.ts";
import { STREAM_TARGETS } from "./targets/streams.ts";
import { TOOL_TARGETS } from "./targets/tools.ts";

/** All targets. */
export const TARGETS: readonly Target[] = [
  ...PACKET_TARGETS,
  ...HTTP_TARGETS,
  ...RECEIVE_TARGETS,
  ...STREAM_TARGETS,
  ...FILE_TARGETS,
  ...TOOL_TARGETS,
];
