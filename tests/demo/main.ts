/**
 * `make demo`: the story of two hosts on the terminal, with times measured by an outside client. Everything
 * lives in namespaces of this process and is gone with it, also after Ctrl-C. With KEEP=1 it stays up after
 * the story, for `tests/demo/play`.
 *
 * @module
 */

import { Cluster } from "../support/cluster.ts";
import { describeLab, forgetLab } from "./keep.ts";
import type { Outside } from "./measure.ts";
import { type Stage, tell } from "./story.ts";
import { bold, cyan, dim, duration, happens, red, seen } from "./terminal.ts";

const PICTURE = `
              client (pings the VIP each 5 ms, asks SIP each 50 ms)
                │
   voip ────────┴──┬───────────────┬──────────┬── gateway (witness)
   10.20.0.0/24    │ .11           │ .12      │ .254
                ┌──┴─────┐      ┌──┴────┐     │    VIP 10.20.0.10
                │ master │      │ slave │     │    VIP 10.30.0.10
                └──┬─────┘      └──┬────┘     │
   10.30.0.0/24    │ .11           │ .12      │ .254
   data ───────────┴───────────────┴──────────┘
`;

async function main(): Promise<void> {
  const began = performance.now();
  console.log(bold("relais: two hosts, one dies, the telephones stay"));
  console.log(cyan(PICTURE));
  console.log(dim(
    "   All in network namespaces of this process; no packet leaves this machine.\n" +
      "   Real: relais, the network stack, PostgreSQL, ssh, rsync, the astdb. Asterisk is stood in\n" +
      "   for by a small SIP registrar that keeps its registrations in an astdb as Asterisk does.",
  ));
  const cluster = await Cluster.create({
    config: { database: true, failback: ['mode = "auto"', "stable_s = 3"] },
  });
  const client = await cluster.observe();
  const watcher = await cluster.watch();
  const outside: Outside = { client, watcher };
  await cluster.start();
  const built = performance.now();
  console.log(`\n   Two hosts with all that were built and started in ${duration(built - began)}.`);

  const outages = await tell({ cluster, outside });
  console.log(`\n${bold("What the client lived through")}`);
  for (const [what, ms] of outages) {
    console.log(`   ${what.padEnd(28)} VIP silent for ${bold(duration(ms))}`);
  }
  console.log(dim(`   told in ${duration(performance.now() - began)}`));
  if (Deno.env.get("KEEP") === "1") await keep({ cluster, outside });
  await Promise.all([client.close(), watcher.close()]);
  await cluster.close();
  console.log(dim("   everything removed"));
}

async function keep({ cluster, outside }: Stage): Promise<void> {
  console.log(describeLab(cluster));
  const { lab } = cluster;
  outside.client.listen((event) => {
    if (event.target !== "vip" || event.type === "holder") return;
    const time = new Date().toLocaleTimeString();
    if (event.type === "down") happens(`${time} the VIP answers the client no more`);
    else {
      const by = event.by === lab.mac("master") ? "master" : "slave";
      seen(`${time} it answers again: the ${by}, after ${duration(event.outageMs)}`);
    }
  });
  await new Promise(() => setInterval(() => {}, 60_000)); // until a signal ends the process
}

/** The namespaces end with the process: there is nothing else to remove. */
function leave(signal: string): void {
  forgetLab();
  console.log(dim(`\n   ${signal}: everything removed`));
  Deno.exit(130);
}

if (import.meta.main) {
  Deno.addSignalListener("SIGINT", () => leave("Ctrl-C"));
  Deno.addSignalListener("SIGTERM", () => leave("ended"));
  try {
    await main();
  } catch (error) {
    console.error(red(`\nThe demo failed: ${error instanceof Error ? error.message : error}`));
    Deno.exit(1);
  }
  Deno.exit(0);
}
