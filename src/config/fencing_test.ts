import assert from "node:assert/strict";
import { configChanges } from "./changes.ts";
import { ConfigError, coreConfig, formatIssue, localConfig, parseConfig } from "./load.ts";
import type { Config } from "./types.ts";

function file(text: string): string {
  return `[cluster]\nname = "test"
[[networks]]\nname = "voip"\nmaster = "10.20.0.11"\nslave = "10.20.0.12"\nprefix = 24\n${text}`;
}

const DEVICE = 'agent = "fence_ipmilan"\nparameters = { ip = "10.9.0.11" }';
const OTHER = 'agent = "fence_ipmilan"\nparameters = { ip = "10.9.0.12" }';

function fencing(
  { head = "", master = DEVICE, slave = OTHER }: {
    readonly head?: string;
    readonly master?: string;
    readonly slave?: string;
  } = {},
): string {
  return `[fencing]\n${head}\n[fencing.master]\n${master}\n[fencing.slave]\n${slave}\n`;
}

function parse(parts: Parameters<typeof fencing>[0] = {}): Config {
  return parseConfig(file(fencing(parts)));
}

/** Asserts that the file breaks exactly this rule. */
function refused(text: string, rule: RegExp): void {
  assert.throws(() => parseConfig(file(text)), (error: unknown) => {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.issues.length, 1, error.message);
    assert.match(formatIssue(error.issues[0]!), rule);
    return true;
  });
}

Deno.test("parseConfig() fences nobody unless the file says so, and the fingerprint is as before", () => {
  const plain = parseConfig(file(""));
  assert.equal(Object.hasOwn(plain, "fencing"), false);
  assert.equal(coreConfig(localConfig(plain, "slave")).fencing, null);
});

Deno.test("parseConfig() reads [fencing]: off is required within a minute, unless the file says else", () => {
  const { fencing } = parse();
  assert.equal(fencing?.mode, "required");
  assert.equal(fencing?.action, "off");
  assert.equal(fencing?.deadlineMs, 60_000);
  const other = parse({ head: 'mode = "best-effort"\naction = "reboot"\ndeadline = "90s"' });
  assert.equal(other.fencing?.mode, "best-effort");
  assert.equal(other.fencing?.action, "reboot");
  assert.equal(other.fencing?.deadlineMs, 90_000);
  assert.equal(coreConfig(localConfig(other, "master")).fencing, "best-effort");
});

Deno.test("parseConfig() keeps parameters as the agent reads them: texts, numbers, 1 and 0", () => {
  const master = 'agent = "/opt/fence/mine"\nparameters_file = "/etc/relais/m.conf"\n' +
    'parameters = { ip = "a=b # c", ipport = 623, power_wait = 1.5, lanplus = true, ssl = false, "x-y" = "" }';
  assert.deepEqual(parse({ master }).fencing?.master, {
    agent: "/opt/fence/mine",
    parameters: {
      ip: "a=b # c",
      ipport: "623",
      power_wait: "1.5",
      lanplus: "1",
      ssl: "0",
      "x-y": "",
    },
    parametersFile: "/etc/relais/m.conf",
  });
});

Deno.test("parseConfig() refuses half a fencing, unknown keys and wrong words", () => {
  refused(
    `[fencing]\n[fencing.master]\n${DEVICE}`,
    /^fencing\.slave: must be a table with the agent that switches the slave off: .* \(got nothing\)$/,
  );
  refused(fencing({ head: 'kind = "stonith"' }), /^fencing\.kind: is not a key of this table/);
  refused(fencing({ head: 'mode = "maybe"' }), /^fencing\.mode: must be one of "required", "best-/);
  refused(fencing({ head: 'action = "on"' }), /^fencing\.action: must be one of "off", "reboot"/);
  refused(fencing({ head: 'deadline = "6m"' }), /^fencing\.deadline: must be a duration .* to 5m/);
  refused(fencing({ head: "deadline = 60" }), /^fencing\.deadline: must be a duration/);
  refused(fencing({ master: `${DEVICE}\nplug = "1"` }), /^fencing\.master\.plug: is not a key/);
  refused('fencing = "off"', /^networks\[0\]\.fencing: is not a key/);
});

Deno.test("parseConfig() refuses agents that are no names and no plain paths", () => {
  for (
    const agent of [
      "",
      "../fence",
      "fence ipmilan",
      "/usr/../bin/x",
      "-x",
      "sbin/fence",
      "a\\u0000",
    ]
  ) {
    refused(
      fencing({ slave: `agent = "${agent}"` }),
      /^fencing\.slave\.agent: must be the name of a program in \/usr\/sbin/,
    );
  }
  refused(
    fencing({ slave: 'parameters = { ip = "1" }' }),
    /^fencing\.slave\.agent: .*\(got nothing\)/,
  );
  refused(
    fencing({ slave: `${OTHER}\nparameters_file = "secrets"` }),
    /^fencing\.slave\.parameters_file: must be an absolute path/,
  );
});

Deno.test("parseConfig() refuses parameters that would say something else to the agent", () => {
  const slave = (parameters: string): string =>
    fencing({ slave: `agent = "fence_x"\nparameters = { ${parameters} }` });
  for (const name of ["action", "option", "nodename"]) {
    refused(
      slave(`${name} = "on"`),
      new RegExp(`^fencing\\.slave\\.parameters\\.${name}: must not be given`),
    );
  }
  refused(slave('ip = "a\\naction=on"'), /parameters\.ip: must be one line without control/);
  refused(slave('ip = " a"'), /parameters\.ip: must not begin or end with a blank/);
  refused(slave('"a=b" = "c"'), /parameters\."a=b": must be the name of a parameter/);
  refused(slave("ip = [1]"), /parameters\.ip: must be a text, a number, true or false/);
  refused(slave("ip = inf"), /parameters\.ip: must be a finite number \(got Infinity\)/);
  refused(slave(`ip = "${"x".repeat(1025)}"`), /parameters\.ip: must be at most 1024 characters/);
  refused(slave("delay = 60"), /parameters\.delay: must be shorter than fencing\.deadline/);
  refused(
    fencing({ slave: 'agent = "fence_x"\nparameters = "ip=1"' }),
    /^fencing\.slave\.parameters: must be a table of the agent's own parameters/,
  );
  const many = Array.from({ length: 65 }, (_, n) => `p${n} = 1`).join(", ");
  refused(slave(many), /parameters: must be at most 64 parameters \(got 65\)/);
});

Deno.test("parseConfig() refuses two hosts at one plug, and repeats no secret", () => {
  refused(fencing({ slave: DEVICE }), /^fencing\.slave: must differ from fencing\.master/);
  const secret = fencing({ slave: 'agent = "x"\nparameters = { password = " hush" }' });
  refused(secret, /password: must not begin .* \(got a value that is not shown\)$/);
});

Deno.test("parseConfig() makes a fingerprint that differs by parameters, and not by passwords", () => {
  const of = (password: string, ip: string): string =>
    parse({ slave: `agent = "x"\nparameters = { password = "${password}", ip = "${ip}" }` })
      .fingerprint;
  assert.equal(of("one", "10.9.0.12"), of("two", "10.9.0.12"));
  assert.notEqual(of("one", "10.9.0.12"), of("one", "10.9.0.13"));
  assert.notEqual(of("one", "10.9.0.12"), parseConfig(file("")).fingerprint);
});

Deno.test("configChanges() tells what differs in [fencing], and shows no secret", () => {
  const master = 'agent = "x"\nparameters = { password = "one", ip = "10.9.0.11" }';
  const changed = master.replace("one", "two").replace("0.11", "0.13");
  const texts = configChanges(
    parse({ master }),
    parse({ head: 'deadline = "30s"', master: changed }),
  )
    .map(({ text, restart }) => {
      assert.equal(restart, null);
      return text;
    });
  assert.deepEqual(texts.sort(), [
    "fencing.deadline: 30 s, was 60 s",
    "fencing.master.parameters.ip: 10.9.0.13, was 10.9.0.11",
    "fencing.master.parameters.password: changed (its value is not shown)",
  ]);
  const added = configChanges(parseConfig(file("")), parse()).map(({ text }) => text);
  assert.ok(added.includes("fencing.mode: required, was none"), added.join("\n"));
});
