import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import {
  encodeJournalEntry,
  formatJson,
  formatLogfmt,
  formatPrefixed,
  formatPretty,
  type LogEntry,
} from "./log_format.ts";
import { parseJournalEntry } from "../../tests/support/journal_entry.ts";

const ENTRY: LogEntry = {
  level: "warning",
  area: "vip",
  message: "VIP removed by somebody else",
  fields: { node: "pbx-a", rule: "M-DEFEND", epoch: 7, stateSince: 12, gone: undefined },
  wallMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
};

Deno.test("encodeJournalEntry() names every field RELAIS_… and leaves undefined out", () => {
  assert.equal(
    new TextDecoder().decode(encodeJournalEntry(ENTRY)),
    [
      "MESSAGE=VIP removed by somebody else",
      "PRIORITY=4",
      "SYSLOG_IDENTIFIER=relais",
      "RELAIS_AREA=vip",
      "RELAIS_NODE=pbx-a",
      "RELAIS_RULE=M-DEFEND",
      "RELAIS_EPOCH=7",
      "RELAIS_STATE_SINCE=12",
      "",
    ].join("\n"),
  );
});

Deno.test("encodeJournalEntry() puts values with line ends into the binary form", () => {
  const bytes = encodeJournalEntry({ ...ENTRY, message: "a\nPRIORITY=0", fields: {} });
  const head = new TextEncoder().encode("MESSAGE\n");
  assert.deepEqual(bytes.slice(0, head.length), head);
  assert.deepEqual([...bytes.slice(head.length, head.length + 8)], [12, 0, 0, 0, 0, 0, 0, 0]);
  const parsed = parseJournalEntry(bytes);
  assert.equal(parsed.get("MESSAGE"), "a\nPRIORITY=0");
  assert.equal(parsed.get("PRIORITY"), "4");
});

Deno.test("encodeJournalEntry() can be read back whatever the values are", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (message, why) => {
      const parsed = parseJournalEntry(encodeJournalEntry({ ...ENTRY, message, fields: { why } }));
      assert.equal(
        parsed.get("MESSAGE"),
        new TextDecoder().decode(new TextEncoder().encode(message)),
      );
      assert.equal(
        parsed.get("RELAIS_WHY"),
        new TextDecoder().decode(new TextEncoder().encode(why)),
      );
      assert.equal(parsed.get("PRIORITY"), "4");
    }),
  );
});

Deno.test("encodeJournalEntry() is bounded: values, fields and names are cut", () => {
  const fields = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`key${i}`, "v"]));
  const bytes = encodeJournalEntry({
    ...ENTRY,
    message: "x".repeat(1e6),
    fields: { ["long".repeat(50)]: "y".repeat(1e6), ...fields },
  });
  assert.ok(bytes.length < 20_000, `${bytes.length} bytes`);
  for (const name of parseJournalEntry(bytes).keys()) assert.match(name, /^[A-Z0-9_]{1,64}$/);
});

Deno.test("formatPrefixed() carries the priority and stays on one line", () => {
  assert.equal(
    formatPrefixed({ ...ENTRY, fields: { why: "line one\nline two" } }),
    '<4>vip: VIP removed by somebody else why="line one\\nline two"\n',
  );
});

Deno.test("formatLogfmt() quotes what needs it", () => {
  assert.equal(
    formatLogfmt({ ...ENTRY, fields: { vip: "fd00::1/64", why: 'he said "no"', empty: "" } }),
    'time=2026-01-02T03:04:05.678Z level=warning area=vip msg="VIP removed by somebody else" ' +
      'vip=fd00::1/64 why="he said \\"no\\"" empty=""\n',
  );
});

Deno.test("formatJson() keeps numbers and can't be forged by a field", () => {
  const fields = { epoch: 7, ok: true, level: "fatal", why: new Error("boom"), deep: { a: 1 } };
  assert.deepEqual(JSON.parse(formatJson({ ...ENTRY, fields })), {
    epoch: 7,
    ok: true,
    why: "boom",
    deep: '{"a":1}',
    time: "2026-01-02T03:04:05.678Z",
    level: "warning",
    area: "vip",
    msg: "VIP removed by somebody else",
  });
});

Deno.test("formatPretty() has colours only when asked", () => {
  // deno-lint-ignore no-control-regex
  const colour = /\x1b\[/;
  assert.match(formatPretty(ENTRY, true), colour);
  const plain = formatPretty(ENTRY, false);
  assert.doesNotMatch(plain, colour);
  assert.match(plain, /^\d\d:\d\d:\d\d\.678 WARN {2}vip +VIP removed by somebody else node=pbx-a /);
});

Deno.test("the line formats let no control character through", () => {
  const evil = "\x1b]0;owned\x07\r\n\x9b31m";
  const entry = { ...ENTRY, area: evil, message: evil, fields: { why: evil, [evil]: evil } };
  for (const format of [formatPrefixed, formatLogfmt, (e: LogEntry) => formatPretty(e, false)]) {
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(format(entry).slice(0, -1), /[\x00-\x1f\x7f-\x9f]/);
  }
});

Deno.test("no format throws on a value that JSON can't write", () => {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  const fields = { cycle, big: 1n, symbol: Symbol("x"), call: () => 1, none: null };
  for (const format of [formatPrefixed, formatLogfmt, formatJson, encodeJournalEntry]) {
    format({ ...ENTRY, fields });
  }
});
