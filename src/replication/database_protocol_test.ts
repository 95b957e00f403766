import assert from "node:assert/strict";
import { parseWorkerArguments, workerArguments } from "./database_protocol.ts";

const ADDRESS = {
  socketDir: "/run/postgresql",
  port: 5432,
  role: "postgres",
  database: "asterisk",
};

Deno.test("parseWorkerArguments() reads what workerArguments() writes", () => {
  assert.deepEqual(parseWorkerArguments(workerArguments(ADDRESS).slice(1)), ADDRESS);
});

Deno.test("parseWorkerArguments() throws nothing but a TypeError with what to do", () => {
  const odd = [[], [""], ["{"], ["null"], ["[]"], ["{}"], ["{}", "{}"]];
  odd.push([JSON.stringify(ADDRESS).replace("5432", "1e400")]);
  odd.push([JSON.stringify(ADDRESS).replace("5432", "1.5")]);
  for (const args of odd) assert.throws(() => parseWorkerArguments(args), /^TypeError: .* by hand/);
});
