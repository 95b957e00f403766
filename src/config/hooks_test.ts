import assert from "node:assert/strict";
import { NO_HOOKS } from "./hooks_section.ts";
import { ConfigError, formatIssue, parseConfig } from "./load.ts";
import type { Config } from "./types.ts";

function file(text: string, preset = "none"): string {
  return `[cluster]\nname = "test"\npreset = "${preset}"
[[networks]]\nname = "voip"\nmaster = "10.20.0.11"\nslave = "10.20.0.12"\nprefix = 24\n${text}`;
}

function hooks(text: string, preset?: string): Config["hooks"] {
  return parseConfig(file(`[hooks]\n${text}`, preset)).hooks;
}

/** Asserts that the file breaks exactly this rule. */
function refused(text: string, rule: RegExp, preset?: string): void {
  assert.throws(() => parseConfig(file(text, preset)), (error: unknown) => {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.issues.length, 1, error.message);
    assert.match(formatIssue(error.issues[0]!), rule);
    return true;
  });
}

Deno.test("parseConfig() has no hooks unless the file names some", () => {
  assert.deepEqual(parseConfig(file("")).hooks, NO_HOOKS);
  assert.deepEqual(parseConfig(file("", "xivo")).hooks, NO_HOOKS);
  assert.deepEqual(hooks("before_takeover = []"), NO_HOOKS);
});

Deno.test("preset wazo forgets the cached pjsip.conf before each takeover, before the operator's hooks", () => {
  const { beforeTakeover } = hooks('before_takeover = [{ command = ["mine"] }]', "wazo");
  assert.deepEqual(beforeTakeover.map(({ command }) => command[0]), ["rm", "mine"]);
  const removed = beforeTakeover[0]!.command.filter((word) => word.startsWith("/"));
  assert.ok(removed.includes("/var/cache/wazo-confgend/asterisk/pjsip.conf"));
  for (const file of removed) assert.match(file, /^\/var\/cache\/[a-z-]+\/asterisk\/pjsip\.conf$/);
});

Deno.test("parseConfig() keeps hooks in their order, with their deadlines in milliseconds", () => {
  const read = hooks(`before_takeover = [
    { command = ["/usr/local/sbin/a", "x y", ""], deadline_s = 3 },
    { command = ["b"] },
  ]
  after_handback = [{ command = ["b"] }, { command = ["b"] }]`);
  assert.deepEqual(read.beforeTakeover, [
    { command: ["/usr/local/sbin/a", "x y", ""], deadlineMs: 3000 },
    { command: ["b"], deadlineMs: 10_000 },
  ]);
  assert.equal(read.afterHandback.length, 2, "the same program may run twice");
  assert.deepEqual([read.afterTakeover, read.beforeHandback], [[], []]);
});

Deno.test("parseConfig() refuses what is no hook, at its place", () => {
  const one = (text: string): string => `[hooks]\nafter_takeover = [${text}]`;
  refused(
    "[hooks]\non_takeover = []",
    /^hooks\.on_takeover: is not a key of this table, which has/,
  );
  refused('[hooks]\nafter_takeover = "a"', /^hooks\.after_takeover: must be a list of at most 16 /);
  refused(one('{ command = ["a"] },'.repeat(17)), /at most 16 tables .* \(got 17 entries\)$/);
  refused(one('"a"'), /^hooks\.after_takeover\[0\]: must be a table \(got "a"\)$/);
  refused(one("{}"), /^hooks\.after_takeover\[0\]\.command: must be a list of 1 to 64 texts/);
  refused(one('{ command = "a b" }'), /\[0\]\.command: must be a list of 1 to 64 texts/);
  refused(
    one('{ command = ["a b"] }'),
    /\[0\]\.command\[0\]: must be the absolute path of a program/,
  );
  refused(one('{ command = ["../a"] }'), /\[0\]\.command\[0\]: must be the absolute path/);
  refused(one('{ command = ["a"], shell = true }'), /\[0\]\.shell: is not a key of this table/);
  refused(one('{ command = ["a"], deadline_s = 0 }'), /\[0\]\.deadline_s: .* from 1 to 600/);
  refused(one('{ command = ["a"], deadline_s = 601 }'), /\[0\]\.deadline_s: .* from 1 to 600/);
});

Deno.test("hooks.on_alert: programs that get sentences or JSON, each of them once", () => {
  const { onAlert } = hooks(`on_alert = [
    { command = ["mail", "-s", "relais", "root"] },
    { command = ["/usr/local/sbin/webhook"], input = "json", deadline_s = 8 },
  ]`);
  assert.deepEqual(onAlert, [
    { command: ["mail", "-s", "relais", "root"], deadlineMs: 30_000, input: "text" },
    { command: ["/usr/local/sbin/webhook"], deadlineMs: 8000, input: "json" },
  ]);
  const one = (text: string): string => `[hooks]\non_alert = [${text}]`;
  refused('[hooks]\non_alert = ["mail"]', /^hooks\.on_alert\[0\]: must be a table \(got "mail"\)$/);
  refused(
    one('{ command = ["a"] },'.repeat(17)),
    /^hooks\.on_alert: must be a list of at most 16 /,
  );
  refused(one('{ command = ["a"], input = "xml" }'), /\[0\]\.input: must be one of "text", "json"/);
  refused(one('{ command = ["a"], deadline_s = 601 }'), /\[0\]\.deadline_s: .* from 1 to 600/);
  refused(
    one('{ command = ["a"] }, { command = ["a"], input = "json" }'),
    /^hooks\.on_alert\[1\]\.command: must not be listed twice/,
  );
  const moves = "[hooks]\nafter_takeover = [{ command = ['a'], input = 'json' }]";
  refused(moves, /after_takeover\[0\]\.input: is not a key of this table/);
});

Deno.test("hooks.presets: the agents' relog comes first after a takeover, with the product's program", () => {
  for (const product of ["xivo", "wazo"]) {
    const { afterTakeover } = hooks(
      'presets = ["agents-relog"]\nafter_takeover = [{ command = ["mine"] }]',
      product,
    );
    assert.deepEqual(afterTakeover.map(({ command }) => command), [
      [`${product}-agentd-cli`, "-c", "relog all"],
      ["mine"],
    ]);
  }
});

Deno.test("hooks.presets: dhcp is one more unit, behind the telephony and in front of monit", () => {
  const units = (text: string): readonly string[] =>
    parseConfig(file(`[hooks]\npresets = ["dhcp"]\n${text}`, "xivo")).services.units;
  assert.deepEqual(units("").slice(-2), ["isc-dhcp-server.service", "monit.service"]);
  assert.deepEqual(units('[services]\nunits = ["asterisk.service"]'), [
    "asterisk.service",
    "isc-dhcp-server.service",
  ]);
  const named = units('[services]\nunits = ["isc-dhcp-server.service", "asterisk.service"]');
  assert.deepEqual(named, ["isc-dhcp-server.service", "asterisk.service"], "the file's order wins");
  assert.deepEqual(parseConfig(file("", "xivo")).services.units.at(-2), "xivo-websocketd.service");
});

Deno.test("hooks.presets are of a product, each once, and need units that relais starts", () => {
  refused(
    '[hooks]\npresets = ["dhcp"]',
    /^hooks\.presets: must not be given unless cluster\.preset/,
  );
  refused(
    '[hooks]\npresets = ["relog"]',
    /presets\[0\]: must be one of "agents-relog", "dhcp"/,
    "xivo",
  );
  refused(
    '[hooks]\npresets = ["dhcp", "dhcp"]',
    /presets\[1\]: must not be listed twice|at most/,
    "xivo",
  );
  const command = '[services]\ndriver = "command"\nstart = ["/a"]\nstop = ["/b"]\nstatus = ["/c"]';
  refused(
    `[hooks]\npresets = ["dhcp"]\n${command}`,
    /^hooks\.presets: must not add isc-dhcp-server\.service to services that a command starts/,
    "xivo",
  );
});
