import assert from "node:assert/strict";
import { leftLines } from "./return_left.ts";

const FOLDER = { name: "t", path: "/s/kept/t", files: [], rowConflicts: 0, trouble: null } as const;

Deno.test("leftLines() says what lies where and what to do, without control characters", () => {
  const files = Array.from({ length: 22 }, (_, i) => ({ path: `/v/\u001b${i}`, what: "both" }));
  const lines = leftLines({
    folders: [
      { ...FOLDER, kind: "files-conflict", files },
      { ...FOLDER, kind: "files-kept", path: "/s/kept/u" },
      { ...FOLDER, kind: "rows-kept", rowConflicts: 1, path: "/s/return/v", trouble: "unreadable" },
    ],
    more: 3,
  });
  assert.equal(lines[0], "files, 22 conflicts: /s/kept/t");
  assert.equal(lines[1], "  /v/?0: both");
  assert.equal(lines[21], "  … and 2 more, in conflicts.json");
  assert.match(lines[22]!, /^ {2}compare the two/);
  assert.deepEqual(lines.slice(23), [
    "files of this host that did not travel: /s/kept/u",
    "  copy what you miss to its place on the host that serves",
    "rows of this host's database that did not travel (1 conflict): /s/return/v",
    "  unreadable",
    "  its README says how to bring a row in by hand",
    "… and 3 older folders that are not shown",
    "seen to: relais return settle FOLDER (or: all)",
  ]);
  assert.deepEqual(leftLines({ folders: [], more: 0 }), []);
});
