// The capability sets of both units are minimal: with all of a set every duty is done; for each capability
// there is a duty that is not done without it. The real program, with the set as systemd would give it.
import assert from "node:assert/strict";
import { callable, register } from "../support/phone.ts";
import { Cluster } from "../support/cluster.ts";
import { sql } from "../support/host_postgres.ts";
import type { TestHost } from "../support/host.ts";
import { PBX_COMMANDS, PBX_PID_FILE } from "../support/pbx.ts";
import { poll } from "../support/poll.ts";
import { pbxLines, relaisToml, RETURN_PATH } from "../support/relais_config.ts";
import { RELAIS, type RelaisHost } from "../support/relais_host.ts";
import { REPOSITORY } from "../support/shown_paths.ts";
import { unitCapabilities, unitVerb } from "../support/units.ts";
import { DEADLINE_MS, heldVips, servicesRun } from "../netns/situations.ts";
import { PATIENT } from "../netns/stage.ts";

/** A user of a PBX, with files and processes of its own; the real ones have names. */
const USER = "4242";
const AS_USER = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"];
const AS_POSTGRES = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"];
const ASTDB = "/var/lib/asterisk/astdb.sqlite3";
const OTHER = "/run/other";
const STOP = "/usr/local/bin/stop-pbx";
const STREAM_CONFIG = "/etc/relais/stream.toml";
/** A step that hangs without a capability is given up after this. */
const VERB_MS = 120_000;

/** Stops the PBX as an init script would whose daemon runs as a user of its own. */
const STOP_SCRIPT = `#!/bin/sh
if [ -e ${OTHER}/pid ]; then
  kill "$(cat ${OTHER}/pid)" || exit 1
  rm ${OTHER}/pid || exit 1
fi
exec ${PBX_COMMANDS.stop.join(" ")}
`;

const SERVICES = pbxLines().map((line) => line.startsWith("stop = ") ? `stop = ["${STOP}"]` : line);

/** Lets the next daemon (or `relais cleanup`) of a host run with a set; everything else is as it was. */
async function bound({ host }: RelaisHost, set: readonly string[]): Promise<void> {
  const binary = `${REPOSITORY}/dist/relais`;
  const list = ["-all", ...set.map((name) => `+${name}`)].join(",");
  const script = `#!/bin/sh
case $1 in
  daemon | cleanup)
    exec setpriv --no-new-privs --inh-caps=-all --bounding-set=${list} ${binary} "$@" ;;
esac
exec ${binary} "$@"
`;
  await host.writeFile(RELAIS, script, 0o755);
}

/** Ends the daemon in a way that the next one adopts, and starts that one with a set. */
async function restartWith(node: RelaisHost, set: readonly string[]): Promise<void> {
  const before = await node.status();
  await node.stop("restart");
  await bound(node, set);
  node.start();
  await node.waitFor(
    ({ node: now, goal }) =>
      now.instanceId !== before?.node.instanceId && now.state === before?.node.state &&
      goal === null,
    { deadlineMs: DEADLINE_MS, what: "the next daemon" },
  );
}

/** Each capability taken away, and first none. */
function withoutEach(set: readonly string[], which: readonly string[]): (string | null)[] {
  for (const name of which) assert.ok(set.includes(name), `${name} is in the unit`);
  return [null, ...which];
}

function less(set: readonly string[], name: string | null): string[] {
  return set.filter((each) => each !== name);
}

async function lines(host: TestHost, argv: readonly string[]): Promise<string[]> {
  return (await host.try(argv)).stdout.split("\n").filter((line) => line !== "");
}

/** The capability masks of a process, from /proc/PID/status of the host. */
async function masks(host: TestHost, pid: string): Promise<{ bound: string; effective: string }> {
  const text = (await host.exec(["cat", `/proc/${pid}/status`])).stdout;
  const read = (key: string): string =>
    new RegExp(`^${key}:\\s*(\\S+)$`, "m").exec(text)?.[1] ?? "";
  return { bound: read("CapBnd"), effective: read("CapEff") };
}

const DAEMON = unitCapabilities("relais.service");
const CLEANUP = unitCapabilities("relais-cleanup.service");

/** Which duty needs what: each capability of the units is in one of these lists. */
const DUTIES = {
  hold: ["net_admin", "net_raw"],
  database: ["setuid", "setgid"],
  killDump: ["kill"],
  astdb: ["chown", "dac_override"],
  astdbInUse: ["sys_ptrace"],
  keepAside: ["fowner"],
} as const;
const CLEANUP_DUTIES = {
  vips: ["net_admin"],
  database: ["setuid", "setgid"],
  stop: ["kill", "dac_override"],
} as const;

Deno.test("every capability of the units has a duty in these tests, and no duty asks for another", () => {
  assert.deepEqual([...DAEMON].sort(), Object.values(DUTIES).flat().sort());
  assert.deepEqual([...CLEANUP].sort(), Object.values(CLEANUP_DUTIES).flat().sort());
  for (const name of CLEANUP) assert.ok(DAEMON.includes(name), `${name}: no more than the daemon`);
});

Deno.test("holding VIPs needs NET_ADMIN and NET_RAW; what the daemon starts inherits its set", async (t) => {
  await using cluster = await Cluster.create({ config: PATIENT });
  const { master } = cluster;
  for (const missing of withoutEach(DAEMON, DUTIES.hold)) {
    await t.step(`without ${missing ?? "none"}`, async () => {
      await bound(master, less(DAEMON, missing));
      master.start();
      if (missing === null) {
        await master.untilState("active", DEADLINE_MS);
        assert.equal((await heldVips(cluster, master)).length, 2);
        const daemon = (await lines(master.host, ["pgrep", "-f", "relais daemon"])).at(-1)!;
        const own = await masks(master.host, daemon);
        assert.equal(own.bound, own.effective);
        const pbx = (await master.host.readFile(PBX_PID_FILE)).trim();
        assert.deepEqual(await masks(master.host, pbx), own, "the services, started by a command");
      } else {
        await poll(() => /EPERM|not permitted/.test(master.log(200)), {
          deadlineMs: DEADLINE_MS,
          everyMs: 100,
          what: "a refusal by the kernel in the log",
          instead: () => master.log(20),
        });
        assert.deepEqual(await heldVips(cluster, master), []);
      }
      await master.stop("kill");
      await poll(async () => (await heldVips(cluster, master)).length === 0, {
        deadlineMs: DEADLINE_MS,
        what: "the end of the VIPs",
      });
      await master.host.exec(["rm", "-f", "/var/log/relais.log"]);
    });
  }
});

Deno.test("the copy of the database needs SETUID and SETGID, and KILL to break it off", async (t) => {
  await using cluster = await Cluster.create({ config: { ...PATIENT, database: true } });
  await cluster.start(DEADLINE_MS);
  const { master, slave } = cluster;
  const sync = () => master.relais(["sync", "database"], VERB_MS);
  for (const missing of withoutEach(DAEMON, DUTIES.database)) {
    await t.step(`copied without ${missing ?? "none"}`, async () => {
      await restartWith(master, less(DAEMON, missing));
      await cluster.untilNormal(DEADLINE_MS);
      const { code, stdout, stderr } = await sync();
      if (missing === null) assert.equal(code, 0, stdout + stderr);
      else {
        assert.equal(code, 1);
        assert.match(stdout + stderr, /not permitted|EPERM/);
      }
    });
  }
  for (const missing of withoutEach(DAEMON, DUTIES.killDump)) {
    await t.step(`a dump that hangs is ended without ${missing ?? "none"}`, async () => {
      await restartWith(master, less(DAEMON, missing));
      await cluster.untilNormal(DEADLINE_MS);
      // A database in which nothing changed is not copied again.
      const change = `UPDATE userfeatures SET passwd = 'without-${missing ?? "none"}' WHERE id = 3`;
      await sql(master.host, { database: "asterisk", text: change });
      const lock = master.host.spawn(
        [
          ...[...AS_POSTGRES, "psql", "-X", "-d", "asterisk", "-c"],
          "BEGIN; LOCK TABLE extensions; SELECT pg_sleep(600)",
        ],
        { logFile: "/var/log/lock.log" },
      );
      await poll(async () =>
        await sql(master.host, {
          database: "asterisk",
          text: "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted " +
            "AND relation = 'extensions'::regclass",
        }) === "1", { deadlineMs: DEADLINE_MS, what: "a lock on a table" });
      const syncing = sync();
      // relais' worker, or the dump that it began: whichever waits for the lock.
      const dumps = () => lines(master.host, ["pgrep", "-u", "postgres", "-x", "relais|pg_dump"]);
      await poll(async () => (await dumps()).length > 0, {
        deadlineMs: DEADLINE_MS,
        what: "a dump that waits for the lock",
      });
      for (const pid of await dumps()) await master.host.exec(["kill", "-STOP", pid]);
      await master.stop("restart");
      await syncing;
      if (missing === null) {
        await poll(async () => (await dumps()).length === 0, {
          deadlineMs: DEADLINE_MS,
          what: "the end of a dump that hangs",
        });
      } else assert.notDeepEqual(await dumps(), [], "it may not be killed");
      for (const pid of await dumps()) await master.host.exec(["kill", "-KILL", pid]);
      await lock.end();
      await bound(master, DAEMON);
      master.start();
      await cluster.untilNormal(DEADLINE_MS);
    });
  }
  assert.equal(await servicesRun(slave), false);
});

Deno.test("what belongs to others: CHOWN, DAC_OVERRIDE, SYS_PTRACE for the astdb, FOWNER for files that are kept aside", async (t) => {
  await using cluster = await Cluster.create({
    config: { ...PATIENT, data: true, failback: ['mode = "manual"'] },
  });
  await cluster.start(DEADLINE_MS);
  const { lab, master, slave } = cluster;
  const folder = ASTDB.replace(/\/[^/]*$/, "");
  let phones = 1000;

  const giveBack = async (): Promise<void> => {
    await master.waitFor(({ ready, node }) => ready && node.state === "standby", {
      deadlineMs: DEADLINE_MS,
      what: "a master that stands by",
    });
    const { code, stdout, stderr } = await slave.relais(["failback"], VERB_MS);
    assert.equal(code, 0, stdout + stderr);
    await cluster.untilNormal(DEADLINE_MS);
  };
  /** Moves the service to the slave, whose daemon runs with the set, and says what became of the astdb. */
  const takeAstdb = async (set: readonly string[]): Promise<string> => {
    // An earlier step that failed may have left the service there.
    if ((await slave.status())?.node.state === "active") await giveBack();
    await slave.host.exec(["chown", "-R", `${USER}:${USER}`, folder]);
    await slave.host.exec(["chmod", "755", folder]);
    await restartWith(slave, set);
    await cluster.untilNormal(DEADLINE_MS);
    // A daemon that joins takes a newer astdb in, too: what is new from here on comes with the service.
    const user = String(++phones);
    const registered = await register(lab.client, { user, server: lab.vip(0) });
    assert.equal(registered.status, 200);
    const { code, stdout, stderr } = await master.relais(["switchover"], VERB_MS);
    assert.equal(code, 0, stdout + stderr);
    const { history } = await slave.untilState("active", DEADLINE_MS);
    const answer = await callable(lab.client, { user, server: lab.vip(0) });
    const entry = history.findLast(({ rule }) => rule === "install-astdb");
    return `${answer.status} ${entry?.why ?? ""}`;
  };
  for (const missing of withoutEach(DAEMON, DUTIES.astdb)) {
    await t.step(`the astdb in place without ${missing ?? "none"}`, async () => {
      const became = await takeAstdb(less(DAEMON, missing));
      if (missing === null) {
        assert.match(became, /^200 installed/, became);
        const owner = (await slave.host.exec(["stat", "-c", "%u:%g", ASTDB])).stdout.trim();
        assert.equal(owner, `${USER}:${USER}`);
      } else {
        assert.match(became, /^404 /, became);
        assert.match(slave.log(200), /EPERM|EACCES|[Pp]ermission denied|not permitted/);
      }
      await giveBack();
    });
  }
  for (const missing of withoutEach(DAEMON, DUTIES.astdbInUse)) {
    await t.step(
      `an astdb in use is left alone, but not without ${missing ?? "none"}`,
      async () => {
        const hold = `exec 3<${ASTDB}; exec sleep 1000`;
        const holder = slave.host.spawn([...AS_USER, "sh", "-c", hold], {
          logFile: "/var/log/hold",
        });
        await poll(
          async () => (await lines(slave.host, ["pgrep", "-u", USER, "sleep"])).length > 0,
          {
            deadlineMs: DEADLINE_MS,
            what: "a process that has the astdb open",
          },
        );
        const became = await takeAstdb(less(DAEMON, missing));
        await holder.end();
        assert.match(became, missing === null ? /^404 / : /^200 installed/, became);
        if (missing === null) assert.match(slave.log(200), /sleep \(process \d+\) has it open/);
        await giveBack();
      },
    );
  }
  for (const missing of withoutEach(DAEMON, DUTIES.keepAside)) {
    await t.step(`voicemail that can't go back is kept, without ${missing ?? "none"}`, async () => {
      await takeAstdb(less(DAEMON, missing));
      const box = `${RETURN_PATH}/box-${missing ?? "none"}`;
      await slave.host.exec(["mkdir", "-p", box]);
      await slave.host.writeFile(`${box}/msg0000.txt`, "hello");
      await slave.host.exec(["chown", "-R", `${USER}:${USER}`, box]);
      await slave.host.exec(["chmod", "-R", "u=rwX,go=", box]);
      await master.host.exec(["mount", "-t", "tmpfs", "-o", "ro", "none", RETURN_PATH]);
      await giveBack();
      await master.host.exec(["umount", RETURN_PATH]);
      const find = ["find", "/var/lib/relais/kept", "-path", `*${box}/msg0000.txt`, "-uid", USER];
      const found = await lines(slave.host, find);
      const said = (await slave.status())!.history.map(({ why }) => why).join("\n");
      if (missing === null) assert.equal(found.length, 1, said);
      else assert.match(said, /could not be kept aside and lies where it was/);
    });
  }
});

Deno.test("the clean-up needs NET_ADMIN for VIPs, SETUID and SETGID for the database, KILL and DAC_OVERRIDE for what a stop command does", async (t) => {
  await using cluster = await Cluster.create({
    config: { ...PATIENT, services: SERVICES, database: true },
    files: { [STOP]: STOP_SCRIPT },
  });
  const { master } = cluster;
  const stream = relaisToml({
    ...PATIENT,
    services: SERVICES,
    database: true,
    databaseMore: ['mode = "stream"'],
  });
  await master.host.writeFile(STREAM_CONFIG, stream);
  const each: readonly string[] = Object.values(CLEANUP_DUTIES).flat();
  for (const missing of withoutEach(CLEANUP, each)) {
    await t.step(`cleaned up without ${missing ?? "none"}`, async () => {
      await bound(master, DAEMON);
      master.start();
      await master.untilState("active", DEADLINE_MS);
      await master.stop("kill");
      await startOther(master.host);
      await bound(master, less(CLEANUP, missing));
      const verb = [...unitVerb("relais-cleanup.service"), "--config", STREAM_CONFIG];
      const { code, stdout, stderr } = await master.relais(verb, VERB_MS);
      await bound(master, DAEMON);
      const told = stdout + stderr;
      if (missing === null) {
        assert.equal(code, 0, told);
        assert.deepEqual(await heldVips(cluster, master), []);
        assert.equal(await servicesRun(master), false);
      } else {
        assert.equal(code, 1, told);
        if (missing === "net_admin") assert.match(told, /Cannot drop the VIPs: .*not permitted/s);
        else if (missing.startsWith("set")) assert.match(told, /not permitted|EPERM/);
        else {
          assert.match(told, /Cannot stop the services/);
          assert.equal(await servicesRun(master), true);
        }
        // As an operator would, with everything.
        const rest = `kill "$(cat ${OTHER}/pid)"; rm -rf ${OTHER}; exec ${STOP}`;
        await master.host.exec(["sh", "-c", rest]);
      }
    });
  }
});

/** A process of another user with its pid file in a folder of that user's. */
async function startOther(host: TestHost): Promise<void> {
  await host.exec(["mkdir", "-p", OTHER]);
  const start = `echo $$ >${OTHER}/pid; chown -R ${USER}:${USER} ${OTHER}; exec "$@"`;
  host.spawn(["sh", "-c", start, "other", ...AS_USER, "sleep", "1000"], {
    logFile: "/var/log/other",
  });
  await poll(async () => (await lines(host, ["pgrep", "-u", USER, "sleep"])).length > 0, {
    deadlineMs: DEADLINE_MS,
    what: "a process of another user",
  });
}
