import assert from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import type { FencingConfig, FencingDeviceConfig } from "../config/types.ts";
import { systemClock } from "../os/clock.ts";
import { AGENT_FOLDER, agentFile, runAgent } from "./agent.ts";
import { Fencer } from "./fencer.ts";
import { parseMetadata, unknownParameters } from "./metadata.ts";

const NEVER = new AbortController().signal;

interface Place {
  readonly dir: string;
  /** Writes an agent, a shell script; returns how it is configured. */
  agent(script: string, device?: Partial<FencingDeviceConfig>): Promise<FencingDeviceConfig>;
  /** A fencer of the slave's for that agent. */
  fencer(device: FencingDeviceConfig, config?: Partial<FencingConfig>): Fencer;
  /** What the agents wrote down. */
  log(): string;
}

async function onPlace(work: (place: Place) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "relais-fence-" });
  const none: FencingDeviceConfig = { agent: "none", parameters: {}, parametersFile: null };
  try {
    await work({
      dir,
      agent: async (script, device = {}) => {
        const agent = `${dir}/fence_test`;
        await Deno.writeTextFile(agent, `#!/bin/sh\ncd ${dir} || exit 9\n${script}\n`, {
          mode: 0o755,
        });
        return { agent, parameters: {}, parametersFile: null, ...device };
      },
      fencer: (device, config = {}) =>
        new Fencer({
          role: "slave",
          clock: systemClock,
          config: {
            mode: "required",
            action: "off",
            deadlineMs: 20_000,
            master: device,
            slave: none,
            ...config,
          },
        }),
      log: () => Deno.readTextFileSync(`${dir}/log`),
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Writes its input down, and remembers the power as a device does. */
const DEVICE = `
input=$(cat); echo "$input" >> log
case "$input" in
  *action=off) echo off > power ;;
  *action=on) echo on > power ;;
  *action=status) [ "$(cat power)" = on ] || exit 2 ;;
esac
exit 0`;

Deno.test("Fencer.fence() says to the agent what it is configured with, then looks at the power", async () => {
  await onPlace(async ({ dir, agent, fencer, log }) => {
    const parametersFile = `${dir}/secrets`;
    await Deno.writeTextFile(parametersFile, '# for the BMC\n\npassword=a=b "c"\nip=10.9.0.99\n', {
      mode: 0o600,
    });
    const device = await agent(DEVICE, {
      parameters: { ip: "10.9.0.11", lanplus: "1" },
      parametersFile,
    });
    const of = fencer(device);
    const text = await of.fence(NEVER);
    assert.match(
      text,
      /fence_test, off of the master: done, and its status confirms that the power is off, after \d/,
    );
    const told = 'ip=10.9.0.99\nlanplus=1\npassword=a=b "c"\n';
    assert.equal(log(), `${told}action=off\n${told}action=status\n`);
    assert.deepEqual(of.counters, { fenced: 1, failed: 0, checksFailed: 0 });
    assert.equal(of.last?.ok, true);
    assert.equal(of.busy, null);
  });
});

Deno.test("Fencer.fence() rejects with what the agent said last, without its secrets", async () => {
  await onPlace(async ({ agent, fencer }) => {
    const script =
      'echo trying >&2; echo "2026-01-31 12:00:00,726 ERROR: no login as hush-hush" >&2; exit 1';
    const device = await agent(script, {
      parameters: { password: "hush-hush" },
    });
    const of = fencer(device);
    await assert.rejects(
      of.fence(NEVER),
      /off of the master: it exited with 1: ERROR: no login as \*\*\*$/,
    );
    assert.deepEqual(of.counters, { fenced: 0, failed: 1, checksFailed: 0 });
    assert.equal(of.last?.ok, false);
  });
});

Deno.test("Fencer.fence() believes no success while the status says on, and one without a status", async () => {
  await onPlace(async ({ agent, fencer }) => {
    const lies = await agent("cat > /dev/null; exit 0");
    await assert.rejects(fencer(lies).fence(NEVER), /its status says that the power is on/);
    const silent = await agent("grep -q action=status && exit 1; exit 0");
    assert.match(await fencer(silent).fence(NEVER), /done; the agent has no status to confirm it/);
    // Exit status 2 is "off" for a status, and a failure for everything else.
    const two = await agent("exit 2");
    await assert.rejects(fencer(two).fence(NEVER), /it exited with 2/);
  });
});

Deno.test("Fencer.fence() with reboot is done when the agent is", async () => {
  await onPlace(async ({ agent, fencer, log }) => {
    const device = await agent("cat >> log; exit 0");
    assert.match(
      await fencer(device, { action: "reboot" }).fence(NEVER),
      /reboot of the master: done/,
    );
    assert.equal(log(), "action=reboot\n");
  });
});

Deno.test("Fencer.fence() kills an agent that hangs with all that it started", async () => {
  await onPlace(async ({ dir, agent, fencer }) => {
    const device = await agent("sleep 600 & echo $! > child; wait");
    const of = fencer(device, { deadlineMs: 1500 });
    await assert.rejects(of.fence(NEVER), /it took longer than 1\.5 s and was killed$/);
    const child = Number(await Deno.readTextFile(`${dir}/child`));
    await gone(child);
    const ending = new AbortController();
    setTimeout(() => ending.abort(new Error("cancelled by a newer decision")), 1500);
    await assert.rejects(
      fencer(device).fence(ending.signal),
      /it was killed: cancelled by a newer decision$/,
    );
    await gone(Number(await Deno.readTextFile(`${dir}/child`)));
  });
});

async function gone(pid: number): Promise<void> {
  for (let n = 0; n < 200; n++) {
    let state = "";
    try {
      state = /^State:\s+(\S)/m.exec(await Deno.readTextFile(`/proc/${pid}/status`))?.[1] ?? "";
    } catch {
      return;
    }
    if (state === "Z") return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`process ${pid} is still there`);
}

Deno.test("Fencer.power() ends a look at the device that is under way; two powers are one too many", async () => {
  await onPlace(async ({ agent, fencer }) => {
    const device = await agent(
      'input=$(cat); case "$input" in *monitor) sleep 600;; *status) exit 2;; *) sleep 1;; esac',
    );
    const of = fencer(device);
    const check = of.check();
    assert.equal(of.busy, "monitor");
    const power = of.fence(NEVER);
    assert.equal((await check).ok, false);
    assert.equal(of.checked, null, "it says nothing of the device");
    await assert.rejects(of.power("on", NEVER), /the agent is busy with off/);
    assert.match(await power, /status confirms/);
  });
});

Deno.test("Fencer.check() and status() say whether the device answers, and what the power is", async () => {
  await onPlace(async ({ dir, agent, fencer }) => {
    await Deno.writeTextFile(`${dir}/power`, "on\n");
    const of = fencer(await agent(DEVICE));
    assert.match((await of.check()).text, /fence_test for the master: its device answers/);
    assert.equal((await of.status(NEVER)).power, "on");
    await of.power("off", NEVER);
    assert.equal((await of.status(NEVER)).power, "off");
    // Two at once are one after the other.
    const both = await Promise.all([of.check(), of.check(), of.status(NEVER)]);
    assert.deepEqual([both[0].ok, both[1].ok, both[2].power], [true, true, "off"]);
    const broken = fencer(await agent("echo no route >&2; exit 1"));
    const checked = await broken.check();
    assert.equal(checked.ok, false);
    assert.match(checked.text, /it exited with 1: no route/);
    assert.equal((await broken.status(NEVER)).power, "unknown");
    assert.equal(broken.counters.checksFailed, 1);
  });
});

Deno.test("an agent gets no environment of ours, and its output has a bound", async () => {
  await onPlace(async ({ agent }) => {
    Deno.env.set("RELAIS_TEST_SECRET", "x");
    try {
      const device = await agent("env | sort >&2; exit 0");
      const { said } = await runAgent(device, "status", { deadlineMs: 20_000 });
      assert.ok(!said.includes("RELAIS_TEST_SECRET"));
      const flood = await agent("head -c 20000000 /dev/zero | tr '\\0' x; exit 0");
      const { code, said: much } = await runAgent(flood, "status", { deadlineMs: 60_000 });
      assert.equal(code, 0);
      assert.ok(much.length <= 300);
    } finally {
      Deno.env.delete("RELAIS_TEST_SECRET");
    }
  });
});

Deno.test("agents and files of parameters that others could change are refused, with what to do", async () => {
  await onPlace(async ({ dir, agent }) => {
    const device = await agent("exit 0");
    await Deno.chmod(device.agent, 0o777);
    const run = (parts: Partial<FencingDeviceConfig>) =>
      runAgent({ ...device, ...parts }, "off", { deadlineMs: 20_000 });
    await assert.rejects(
      run({}),
      /others than its owner may write to it: chown root and chmod go-w/,
    );
    await Deno.chmod(device.agent, 0o755);
    await assert.rejects(
      run({ agent: "fence_nothing" }),
      /not installed: run: apt install fence-agents/,
    );
    const parametersFile = `${dir}/secrets`;
    await assert.rejects(
      run({ parametersFile }),
      /Cannot find .*secrets: make it with the agent's/,
    );
    const refusals: [string, number, RegExp][] = [
      [
        "password=x\n",
        0o640,
        /others than root may read or change it: chown root:root .*chmod 600/,
      ],
      ["password\n", 0o600, /its line 1 must be key=value/],
      ["# x\naction=on\n", 0o600, /its line 2 must not give action/],
      [`password=${"x".repeat(1025)}\n`, 0o600, /its line 1 must be at most 1024 characters/],
      [`a=${"b\na=".repeat(40_000)}`, 0o600, /longer than 65536 bytes/],
    ];
    for (const [text, mode, refusal] of refusals) {
      await Deno.writeTextFile(parametersFile, text);
      await Deno.chmod(parametersFile, mode);
      await assert.rejects(run({ parametersFile }), refusal);
    }
  });
});

Deno.test("agentFile() looks in one folder only, whatever PATH is", () => {
  assert.equal(AGENT_FOLDER, "/usr/sbin");
  assert.throws(() => agentFile("sh"), /not installed/);
});

Deno.test("parseMetadata() reads the names of parameters and actions, with either quotes", () => {
  const xml = `<?xml version="1.0" ?><resource-agent name="fence_x"><parameters>
    <parameter name="action" unique="0"><content type="string" default="reboot"/></parameter>
    <parameter unique='0' name='power_wait'></parameter></parameters>
    <actions><action name="on" automatic="0"/><action name="status" /></actions></resource-agent>`;
  const metadata = parseMetadata(xml);
  assert.deepEqual(metadata, {
    parameters: ["action", "power_wait"],
    actions: ["on", "status"],
  });
  assert.deepEqual(unknownParameters(["power-wait", "ip"], metadata!), ["ip"]);
  for (const other of ["", "usage: fence_x", '<parameter name="a"/>', "<".repeat(100_000)]) {
    assert.equal(parseMetadata(other), null);
  }
});

Deno.test("Fencer measures on the clock that it is given", async () => {
  const clock = new ManualClock();
  const device: FencingDeviceConfig = { agent: "x", parameters: {}, parametersFile: null };
  const of = new Fencer({
    role: "master",
    clock,
    config: { mode: "required", action: "off", deadlineMs: 5000, master: device, slave: device },
    run: (_, action) => {
      clock.advance(1200);
      return Promise.resolve({ code: action === "status" ? 2 : 0, said: "", stdout: "" });
    },
  });
  assert.match(await of.fence(NEVER), /^x, off of the slave: .*after 2\.4 s$/);
  assert.equal(of.last?.tookMs, 2400);
});
