import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Lab } from "./lab.ts";
import { poll } from "./poll.ts";
import { namespaceOf, pidsInNamespace, processState } from "./process_table.ts";

const PING = ["ping", "-c", "1", "-W", "1", "-n"];

async function answers(
  lab: Lab,
  from: "client" | "master" | "slave",
  address: string,
): Promise<boolean> {
  return (await lab.host(from).try([...PING, address])).code === 0;
}

/** A machine that stands still for a moment may miss the one second that a ping waits. */
async function untilAnswers(
  lab: Lab,
  from: "client" | "master" | "slave",
  address: string,
): Promise<void> {
  await poll(() => answers(lab, from, address), {
    deadlineMs: 30_000,
    what: `an answer of ${address} for the ${from}`,
  });
}

Deno.test("Lab connects two hosts, a gateway and a client on every network, IPv4 and IPv6", async () => {
  await using lab = await Lab.create();
  for (const address of ["10.20.0.11", "10.30.0.12", "10.20.0.254", "fd20::12", "fd30::254"]) {
    await untilAnswers(lab, "client", address);
  }
  const route = await lab.master.exec(["ip", "route", "show", "default"]);
  assert.match(route.stdout, /default via 10\.20\.0\.254 dev eth0/);
  assert.equal((await lab.slave.exec(["hostname"])).stdout.trim(), "slave");
});

Deno.test("TestHost has files, processes and shared memory of its own", async () => {
  await using lab = await Lab.create({ networks: ["voip"] });
  await lab.master.writeFile("/etc/relais/relais.toml", "# master\n");
  assert.equal(await lab.master.readFile("/etc/relais/relais.toml"), "# master\n");
  assert.equal(lab.slave.exists("/etc/relais/relais.toml"), false);
  await lab.master.exec(["sh", "-c", "echo x > /etc/motd; echo y > /dev/shm/segment"]);
  assert.notEqual(await Deno.readTextFile("/etc/motd").catch(() => ""), "x\n");
  assert.equal(lab.slave.exists("/dev/shm/segment"), false);
  const count = await lab.slave.exec(["sh", "-c", "set -- /proc/[0-9]*; echo $#"]);
  assert.ok(Number(count.stdout) < 5, "sees only its own processes");
  const uptime = Number((await lab.slave.exec(["cat", "/proc/uptime"])).stdout.split(" ")[0]);
  assert.ok(uptime < 60, `counts its uptime from its power-on, not ${uptime}`);
});

Deno.test("TestHost.crash() and boot() keep the disk and lose /run, processes and addresses", async () => {
  await using lab = await Lab.create({ networks: ["voip"] });
  const host = lab.master;
  await host.writeFile("/var/lib/relais/state", "kept");
  await host.writeFile("/run/relais/volatile", "lost");
  await host.exec(["ip", "addr", "add", "10.20.0.10/24", "dev", "eth0"]);
  const bootId = (await host.exec(["cat", "/proc/sys/kernel/random/boot_id"])).stdout;
  const daemon = host.spawn(["sleep", "1000"], { logFile: "/var/log/sleep.log" });
  const pid = await daemon.pid();
  await untilAnswers(lab, "client", "10.20.0.10");

  await host.crash();
  assert.equal(await answers(lab, "client", "10.20.0.10"), false);
  await daemon.ended(30_000);
  assert.equal(processState(pid), null);

  await host.boot();
  assert.equal(await host.readFile("/var/lib/relais/state"), "kept");
  assert.equal(host.exists("/run/relais/volatile"), false);
  assert.notEqual((await host.exec(["cat", "/proc/sys/kernel/random/boot_id"])).stdout, bootId);
  await untilAnswers(lab, "client", "10.20.0.11");
  assert.equal(await answers(lab, "client", "10.20.0.10"), false);
});

Deno.test("TestHost.freeze() stops every process while its kernel answers, thaw() continues", async () => {
  await using lab = await Lab.create({ networks: ["voip"] });
  const host = lab.master;
  const script = "while :; do date +%s%N > /tmp/beat; sleep 0.01; done";
  const beating = host.spawn(["sh", "-c", script], { logFile: "/var/log/beat.log" });
  await poll(() => host.exists("/tmp/beat"), { deadlineMs: 30_000, what: "the first beat" });

  await host.freeze();
  assert.ok(host.pids().length >= 1);
  const states = host.pids().map(processState);
  assert.ok(states.includes("T"), `${states}`);
  // A child that ended just before its parent was stopped: nobody reaps it now.
  assert.deepEqual(states.filter((state) => state !== "T" && state !== "Z"), []);
  const beat = await host.readFile("/tmp/beat");
  await untilAnswers(lab, "client", "10.20.0.11");
  assert.equal(await host.readFile("/tmp/beat"), beat);

  await host.thaw();
  await poll(async () => await host.readFile("/tmp/beat") !== beat, {
    deadlineMs: 30_000,
    what: "a beat after the thaw",
  });
  assert.equal((await beating.end("SIGTERM")).signal ?? "SIGTERM", "SIGTERM");
});

Deno.test("TestHost.thaw() wakes what freeze() has stopped, however soon, and a frozen host can lose its power", async () => {
  await using lab = await Lab.create({ networks: ["voip"] });
  const host = lab.master;
  const sleeping = host.spawn(["sleep", "1000"], { logFile: "/var/log/sleep.log" });
  await sleeping.pid();
  for (let round = 0; round < 20; round++) {
    await host.freeze();
    await host.thaw();
  }
  // Its starter, too, is awake: it sees the end.
  await sleeping.signal("SIGKILL");
  await sleeping.ended(30_000);
  const other = host.spawn(["sleep", "1000"], { logFile: "/var/log/sleep.log" });
  await other.pid();
  await host.freeze();
  await host.crash();
  await other.ended(30_000);
});

Deno.test("TestHost.cable() pulls, mutes and plugs one cable, and Lab.split() hides the hosts from each other", async () => {
  await using lab = await Lab.create();
  const carrier = async (): Promise<string> =>
    (await lab.master.try(["cat", "/sys/class/net/eth0/carrier"])).stdout.trim();

  await lab.master.cable("pull", ["voip"]);
  assert.equal(await carrier(), "0");
  assert.equal(await answers(lab, "client", "10.20.0.11"), false);
  await untilAnswers(lab, "client", "10.30.0.11");

  await lab.master.cable("mute", ["voip"]);
  assert.equal(await carrier(), "1");
  assert.equal(await answers(lab, "client", "10.20.0.11"), false);
  await lab.master.cable("plug", ["voip"]);
  await poll(() => answers(lab, "client", "10.20.0.11"), {
    deadlineMs: 30_000, // the client asks for the neighbour once a second only
    what: "an answer through the plugged cable",
  });

  await lab.split(["voip"]);
  assert.equal(await answers(lab, "slave", "10.20.0.11"), false);
  await untilAnswers(lab, "slave", "10.30.0.11");
  await untilAnswers(lab, "client", "10.20.0.11");
  await untilAnswers(lab, "client", "10.20.0.12");
  await lab.join();
  await poll(() => answers(lab, "slave", "10.20.0.11"), {
    deadlineMs: 30_000,
    what: "the hosts see each other again",
  });
});

Deno.test("Lab leaves nothing behind when its process is killed with SIGKILL", async () => {
  const mounts = await Deno.readTextFile("/proc/self/mountinfo");
  const links = async (): Promise<string> =>
    (await Deno.readTextFile("/proc/net/dev")).replace(/\d+/g, "");
  const linksBefore = await links();
  const fixture = fileURLToPath(new URL("./lab_fixture.ts", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", fixture],
    stdout: "piped",
  }).spawn();
  const pids = await firstLine(child.stdout);
  const kinds = ["pid", "net", "mnt"] as const;
  const namespaces = (JSON.parse(pids) as number[]).flatMap((pid) =>
    kinds.map((kind) => ({ kind, identity: namespaceOf(pid, kind)! }))
  );
  assert.ok(namespaces.length >= 18);
  child.kill("SIGKILL");
  await child.status;
  for (const { kind, identity } of namespaces) {
    await poll(() => pidsInNamespace(kind, identity).length === 0, {
      deadlineMs: 30_000,
      what: `no process left in ${identity}`,
    });
  }
  // Other programs of the machine may mount or make an interface meanwhile: what is left counts.
  await poll(
    async () =>
      await Deno.readTextFile("/proc/self/mountinfo") === mounts && await links() === linksBefore,
    {
      deadlineMs: 30_000,
      what: `the mounts and links that were there before: ${linksBefore}`,
      instead: links,
    },
  );
});

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes("\n")) break;
  }
  return text.split("\n")[0]!;
}
