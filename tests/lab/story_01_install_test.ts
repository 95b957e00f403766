// "Install" of README.md and README.fr.md, word for word, on two hosts that have a PBX and nothing of relais.
import assert from "node:assert/strict";
import { poll } from "../support/poll.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import type { LabHost } from "./lab_host.ts";
import { ROOT_PASSWORD } from "./laboratory.ts";
import { prepared } from "./prepared.ts";
import { untilNormal } from "./provision.ts";
import { SipPhone } from "./sip_phone.ts";
import { type Scene, story } from "./stage.ts";
import { type Answer, atTerminal } from "./terminal.ts";

const DEADLINE_MS = 180_000;
/**
 * What a laboratory cannot have: both hosts' clock is that of the machine, which they may not set, so
 * whether anything keeps it right depends on the machine.
 */
const NOT_IN_THE_LAB = new Set(["clock.synchronised"]);

interface Block {
  /** `run`: a script. `terminal`: asks. `doctor`: its exit status is looked at. `undo`: at the end. */
  readonly kind: string;
  readonly on: string;
  readonly script: string;
}

/** The marked blocks of the manual, in order: `<!-- run: both -->` and what follows. */
function blocksOf(file: string): readonly Block[] {
  const text = Deno.readTextFileSync(`${REPOSITORY}/${file}`);
  const marked = /<!-- (run|terminal|doctor|undo): (both|master|slave) -->\n+```sh\n([\s\S]*?)```/g;
  return [...text.matchAll(marked)].map(([, kind, on, script]) => ({
    kind: kind ?? "",
    on: on ?? "",
    script: (script ?? "").trim(),
  }));
}

/** What an administrator answers to `relais init`, here without a product. */
const INIT: readonly Answer[] = [
  [/Name of the pair of hosts.*: /, "siege"],
  [/Product.*: /, "none"],
  [/master or the slave.*: /, "master"],
  [/Use the network of eth0.*: /, "yes"],
  [/Name of this network.*: /, "voip"],
  [/Address of the other host.*: /, "10.20.0.12"],
  [/Virtual IP.*: /, "10.20.0.10"],
  [/Gateway.*: /, "10.20.0.254"],
  [/Use the network of eth1.*: /, "yes"],
  [/Name of this network.*: /, "data"],
  [/Address of the other host.*: /, "10.30.0.12"],
  [/Virtual IP.*: /, "10.30.0.10"],
  [/Gateway.*: /, "-"],
  [/PostgreSQL database.*: /, "-"],
  [/Write this to.*: /, "yes"],
];

/** And to `relais pair`. */
const PAIR: readonly Answer[] = [
  [/Is it the same\?.*/, "yes"],
  [/password: /, ROOT_PASSWORD],
  [/Do this\?.*/, "yes"],
];

story("story 1: install, init, pair, doctor: README.md, word for word", async (scene) => {
  await install("README.md", scene);
}, { from: prepared() });

Deno.test("README.fr.md has the same steps of installation", () => {
  assert.deepEqual(blocksOf("README.fr.md"), blocksOf("README.md"));
});

async function install(file: string, scene: Scene): Promise<void> {
  const { laboratory, master, outside, note } = scene;
  const [deb, ...others] = [...Deno.readDirSync(`${REPOSITORY}/dist/repo`)].map(({ name }) => name)
    .filter((name) => name.endsWith(".deb"));
  assert.ok(deb !== undefined && others.length === 0, "one package in dist/repo: make repo");
  for (const host of laboratory.hosts) {
    await host.push(`${REPOSITORY}/dist/repo/${deb}`, `/root/${deb}`);
  }
  const blocks = blocksOf(file);
  assert.deepEqual(blocks.map(({ kind }) => kind), [
    "run",
    "terminal",
    "terminal",
    "run",
    "run",
    "doctor",
    "undo",
  ]);
  await outside.mark("installation");
  for (const block of blocks) {
    const hosts = block.on === "both" ? laboratory.hosts : [scene[block.on as "master" | "slave"]];
    for (const host of hosts) await play(block, host);
    if (block.script.includes("systemctl restart")) await untilNormal(laboratory);
    if (block.kind === "doctor") {
      await theyServe(scene);
      note("installation", await outside.seen("installation"));
    }
  }
  for (const path of ["/usr/sbin/relais", "/etc/relais"]) {
    assert.equal(await master.exists(path), false, path);
  }
}

async function play({ kind, script }: Block, host: LabHost): Promise<void> {
  if (kind === "terminal") {
    const answers = script.includes("init") ? INIT : PAIR;
    await atTerminal(host, script, { answers, deadlineMs: DEADLINE_MS });
    return;
  }
  if (kind === "doctor") {
    await isHealthy(host, script);
    return;
  }
  const argv = ["bash", "-euo", "pipefail", "-c", `cd /root; ${script}`];
  const { code, stdout, stderr } = await host.try(argv, { deadlineMs: DEADLINE_MS });
  assert.equal(code, 0, `${host.name}: ${script}\n${stdout}${stderr}`);
  if (script.startsWith("apt install")) await isQuiet(host, stdout + stderr);
  if (script.includes("relais sync")) {
    assert.match(stdout, /master, active for/);
    assert.match(stdout, /^copied: astdb/m);
  }
}

/** The package on a host that is not configured: nothing is said, the unit is enabled and not failed. */
async function isQuiet(host: LabHost, said: string): Promise<void> {
  // apt's own word to who reads it by a pipe.
  const rest = said.replace("WARNING: apt does not have a stable CLI interface.", "");
  assert.doesNotMatch(rest, /error|warning|failed|relais:/i, `${host.name}: ${said}`);
  const show = ["systemctl", "show", "-p", "UnitFileState,ActiveState,Result", "relais.service"];
  const state = (await host.read(show)).split("\n").sort();
  assert.deepEqual(state, ["ActiveState=inactive", "Result=success", "UnitFileState=enabled"]);
  const errors = ["journalctl", "-u", "relais", "-p", "warning", "-q", "--no-pager"];
  assert.equal(await host.read(errors), "", host.name);
}

/**
 * All green: exit status 0, or nothing is wrong but what the laboratory cannot have. On a machine that is
 * too busy to answer within a check's deadline it says "could not check", and is asked again.
 */
async function isHealthy(host: LabHost, script: string): Promise<void> {
  let said = "";
  await poll(async () => {
    const { code, stdout } = await host.try(["sh", "-c", script], { deadlineMs: DEADLINE_MS });
    said = stdout;
    const bad = [...stdout.matchAll(/^ +(?:warning|failure) +([a-z_.]+):/gm)].map(([, id]) => id!);
    return code === 0 || (bad.length > 0 && bad.every((id) => NOT_IN_THE_LAB.has(id)));
  }, {
    deadlineMs: DEADLINE_MS,
    everyMs: 1000,
    what: `nothing to mend on ${host.name}`,
    instead: () => said,
  });
}

/** As the phones see it: the master holds the VIPs, takes registrations and connects calls. */
async function theyServe({ laboratory, outside, slave }: Scene): Promise<void> {
  for (const network of ["voip", "data"] as const) {
    await outside.untilHolder("master", { network, deadlineMs: DEADLINE_MS });
  }
  await outside.untilPhoneArp("master", { deadlineMs: DEADLINE_MS });
  await outside.untilSip(DEADLINE_MS);
  await using desk = await SipPhone.create(laboratory, "1001");
  await using other = await SipPhone.create(laboratory, "1002");
  await desk.register();
  await desk.answer();
  assert.equal(await other.tryCall("1001"), null);
  assert.equal(await slave.isActive("asterisk.service"), false, "the slave stands by");
}
