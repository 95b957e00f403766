/**
 * A process that writes an astdb as Asterisk does (main/db.c): one connection, always a transaction
 * open, commits at intervals, no busy timeout, ROLLBACK when a commit fails.
 *
 * Arguments: path, milliseconds between commits, `crash` to fill the file in a transaction that spills
 * and stay so (to be killed). Prints "ready"; ends when standard input closes, with a JSON line.
 */
import { DatabaseSync } from "node:sqlite";

const [path, everyText, mode] = Deno.args;
const database = new DatabaseSync(path!, { timeout: 0 });
database.exec("CREATE TABLE IF NOT EXISTS astdb(key VARCHAR(256) PRIMARY KEY, value VARCHAR(256))");
const put = database.prepare("INSERT OR REPLACE INTO astdb VALUES(?, ?)");
const filler = "x".repeat(200);

if (mode === "crash") {
  database.exec("PRAGMA cache_size = 2; BEGIN");
  for (let i = 0; i < 400; i++) put.run(`/filler/${i}`, `uncommitted ${filler}`);
  console.log("ready");
  await new Response(Deno.stdin.readable).arrayBuffer();
  Deno.exit(0);
}

database.exec("BEGIN");
for (let i = 0; i < 200; i++) put.run(`/filler/${i}`, filler);
database.exec("COMMIT");
database.exec("BEGIN");
let ended = false;
new Response(Deno.stdin.readable).arrayBuffer().then(() => ended = true);
console.log("ready");
let counter = 0;
let commits = 0;
let lost = 0;
while (!ended) {
  counter += 1;
  try {
    // Two rows that must never be seen apart, on pages far from each other, and one in between.
    put.run("/AAA/counter", String(counter));
    put.run(`/filler/${counter % 200}`, `${counter}${filler}`.slice(0, 200));
    put.run("/zzz/counter", String(counter));
    database.exec("COMMIT");
    commits += 1;
  } catch {
    lost += 1;
    try {
      database.exec("ROLLBACK");
    } catch {
      // SQLite has already rolled back.
    }
  }
  database.exec("BEGIN");
  await new Promise((resolve) => setTimeout(resolve, Number(everyText)));
}
console.log(JSON.stringify({ commits, lost, counter }));
