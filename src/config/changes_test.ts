import assert from "node:assert/strict";
import { relaisToml } from "../../tests/support/relais_config.ts";
import { configChanges } from "./changes.ts";
import { parseConfig } from "./load.ts";

const TOML = relaisToml({ database: true });

/** The sentences for a text in which these replacements were made. */
function changes(...replacements: readonly (readonly [string, string])[]): string[] {
  return compare(replacements).map(({ text }) => text);
}

function compare(
  replacements: readonly (readonly [string, string])[],
): ReturnType<typeof configChanges> {
  const after = replacements.reduce((text, [from, to]) => {
    assert.ok(text.includes(from), from);
    return text.replace(from, to);
  }, TOML);
  return configChanges(parseConfig(TOML), parseConfig(after));
}

Deno.test("configChanges() says nothing of comments, layout and defaults that are spelled out", () => {
  assert.deepEqual(changes(["[cluster]", "# a word\n[cluster]\n\n"]), []);
  assert.deepEqual(
    changes(['preset = "balanced"', 'preset = "balanced"\ndead_after_ms = 3000']),
    [],
  );
});

Deno.test("configChanges() names a timing as in the file, and not what only follows from it", () => {
  assert.deepEqual(changes(['preset = "balanced"', 'preset = "balanced"\ndead_after_ms = 4000']), [
    "heartbeat.dead_after_ms: 4000, was 3000",
    // A default that follows from the other one is a difference for the operator, too.
    "heartbeat.boot_grace_ms: 16000, was 12000",
  ]);
  assert.deepEqual(changes(["stable_s = 2", "stable_s = 90"]), [
    "failback.stable_s: 90 s, was 2 s",
  ]);
  assert.deepEqual(changes(['every = "2m"', 'every = "30s"']), [
    "replication.astdb.every: 30 s, was 120 s",
  ]);
});

Deno.test("configChanges() tells what came to a list and what went from it, and another order", () => {
  assert.deepEqual(changes(['witnesses = ["10.20.0.254"]', 'witnesses = ["10.20.0.253"]']), [
    "networks.voip.witnesses: added 10.20.0.253; removed 10.20.0.254",
  ]);
  assert.deepEqual(changes(['"call_log*", "cel"', '"cel", "call_log*"']), [
    "replication.database.exclude_table_data: in another order: cel, call_log*, queue_log",
  ]);
  assert.deepEqual(changes(['vip = "10.30.0.10"\n', ""]), [
    "networks.data.vip: removed 10.30.0.10",
  ]);
});

Deno.test("configChanges() takes a network that is new or gone for one change, whatever the order is", () => {
  const [voip, data] = [
    relaisToml({ networks: ["voip"] }),
    relaisToml({ networks: ["voip", "data"] }),
  ]
    .map(parseConfig);
  assert.ok(voip !== undefined && data !== undefined);
  assert.deepEqual(configChanges(voip, data).map(({ text }) => text), [
    "networks.data: added (VIP 10.30.0.10)",
  ]);
  assert.deepEqual(configChanges(data, voip).map(({ text, restart }) => [text, restart]), [[
    "networks.data: removed (VIP 10.30.0.10)",
    null,
  ]]);
  const turned = { ...data, networks: data.networks.toReversed() };
  assert.deepEqual(configChanges(data, turned), []);
});

Deno.test("configChanges() tells a part that was not configured from one that is", () => {
  const without = parseConfig(relaisToml({ data: false }));
  const withData = parseConfig(relaisToml());
  const keys = configChanges(without, withData).map(({ key }) => key);
  assert.ok(keys.includes("replication.astdb.path"), keys.join());
  assert.ok(keys.includes("replication.files.paths"));
  const text = configChanges(withData, without).find(({ key }) => key === "replication.astdb.path")
    ?.text;
  assert.equal(text, "replication.astdb.path: none, was /var/lib/asterisk/astdb.sqlite3");
});

Deno.test("configChanges() marks what the two hosts know each other by as needing a restart, and nothing else", () => {
  const found = compare([
    ['master = "10.20.0.11"', 'master = "10.20.0.13"'],
    ['preset = "balanced"', 'preset = "balanced"\nhttp_port = 8461'],
    ["stable_s = 2", "stable_s = 3"],
  ]);
  const restarts = found.map(({ key, restart }) => [key, restart !== null]);
  assert.deepEqual(restarts, [
    ["networks.voip.master", true],
    ["heartbeat.http_port", true],
    ["failback.stable_s", false],
  ]);
  const other = parseConfig(
    TOML.replaceAll('name = "voip"', 'name = "a"')
      .replaceAll('name = "data"', 'name = "b"'),
  );
  const renamed = configChanges(parseConfig(TOML), other);
  assert.ok(renamed.every(({ restart }) => restart?.includes("no network")), "all is new");
});
