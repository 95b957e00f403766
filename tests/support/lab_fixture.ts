/**
 * For `lab_test.ts`: a lab whose process is about to be killed. Prints the PIDs that hold its namespaces as
 * one JSON line and waits.
 *
 * @module
 */

import { Lab } from "./lab.ts";

const lab = await Lab.create({ stranger: true });
lab.master.spawn(["sleep", "1000"], { logFile: "/var/log/sleep.log" });
const pids = [lab.ethernet.pid, ...[...lab.hosts.values()].map(({ pid }) => pid)];
console.log(JSON.stringify(pids));
await new Promise((resolve) => setTimeout(resolve, 60_000));
await lab.close();
