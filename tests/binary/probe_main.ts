/**
 * Compiled by permissions_test.ts with the permissions of relais: uses every library and every kind of
 * access that relais needs, and tries some that it must not have. Prints one JSON object.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { Command } from "commander";
import { Hono } from "hono";
import postgres from "postgres";
import { parse } from "smol-toml";
import { z } from "zod";
import { createSocket } from "node:dgram";
import { statfs } from "node:fs/promises";
import { backup, DatabaseSync } from "node:sqlite";
import { buildInfo } from "../../src/build_info.ts";
import { readKernelFile } from "../../src/os/kernel_file.ts";
import { configureLog, flushLog, getLog } from "../../src/os/log.ts";
import { Notifier } from "../../src/os/notify.ts";
import { run } from "../../src/os/process.ts";

const directory = Deno.args[0] ?? "";

/** Each returns what the test expects. */
const PROBES: Readonly<Record<string, () => unknown>> = {
  build: () => buildInfo(),
  toml: () => parse("a = 1")["a"],
  zod: () => z.strictObject({ a: z.string() }).safeParse({ a: "x" }).success,
  commander: () => new Command("relais").option("--x <y>").helpInformation().split("\n")[0],
  logtape: () => typeof getLogger("x").info,
  hono: async () => {
    const app = new Hono().get("/health", (c) => c.text("ok"));
    const path = `${directory}/control.sock`;
    const server = Deno.serve({ path, onListen: () => {} }, app.fetch);
    using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    const answer = await (await fetch("http://relais/health", { client })).text();
    await server.shutdown();
    return answer;
  },
  sqlite: async () => {
    using source = new DatabaseSync(`${directory}/a.sqlite3`);
    source.exec("create table t (a); insert into t values (42)");
    await backup(source, `${directory}/b.sqlite3`);
    using copy = new DatabaseSync(`${directory}/b.sqlite3`);
    return copy.prepare("select a from t").get()?.["a"];
  },
  postgres: async () => {
    // Nobody listens there: what counts is that the client gets as far as the socket.
    const sql = postgres("postgresql:///asterisk", { host: directory, max: 1, connect_timeout: 5 });
    const problem = await sql`select 1`.then(() => "connected", (error) => error.code);
    await sql.end();
    return problem;
  },
  udp: () =>
    new Promise((resolve, reject) => {
      const socket = createSocket("udp4");
      socket.on("error", reject);
      socket.on("message", (message) => {
        socket.close();
        resolve(message.toString());
      });
      socket.bind(0, "127.0.0.1", () => socket.send("sip", socket.address().port, "127.0.0.1"));
    }),
  run: async () => (await run(["uname", "-s"], { deadlineMs: 10_000 })).stdout,
  system: async () => [
    Deno.networkInterfaces().length > 0,
    Deno.uid(),
    (await statfs(directory)).bsize > 0,
  ],
  kernelFile: () => readKernelFile("/proc/sys/kernel/ostype"),
  log: async () => {
    configureLog();
    getLog("probe").info("hello");
    await flushLog();
    return "logged";
  },
  notify: () => new Notifier().enabled,
  deniedEnvironment: () => Deno.env.get("AWS_SECRET_ACCESS_KEY"),
  deniedEnvironmentAll: () => Deno.env.toObject(),
  deniedKernelFile: () => Deno.readTextFileSync("/proc/uptime"),
  deniedSystem: () => Deno.loadavg(),
};

const answers: Record<string, unknown> = {};
for (const [name, probe] of Object.entries(PROBES)) {
  try {
    answers[name] = await probe();
  } catch (error) {
    answers[name] = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}
console.log(JSON.stringify(answers));
