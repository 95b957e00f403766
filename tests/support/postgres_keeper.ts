/**
 * Keeps one PostgreSQL server alive as long as its own standard input is open; then stops the server and
 * removes the directory of the cluster. Whoever holds the other end may be killed in any way. One letter
 * `k` on the input means: the server is down on purpose, keep the directory.
 *
 * Arguments: directory, uid, gid (both empty: no change), then the command line of the server.
 *
 * @module
 */

const [directory, uid, gid, postgres, ...args] = Deno.args;
if (directory === undefined || postgres === undefined) {
  throw new TypeError("Cannot keep a server without a directory and a command line");
}
// Ctrl-C reaches the whole process group; the end of the input comes afterwards and does the work.
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(name, () => {});

const server = new Deno.Command(postgres, {
  args,
  ...(uid ? { uid: Number(uid), gid: Number(gid) } : {}),
  cwd: "/",
  stdin: "null",
  stdout: "null",
  stderr: "null",
}).spawn();

const input = new Uint8Array(1);
let keep = false;
while (await Deno.stdin.read(input) !== null) {
  keep = input[0] === "k".charCodeAt(0);
  if (keep) break;
}
try {
  server.kill("SIGQUIT");
} catch {
  // It is down already.
}
await server.status;
if (!keep) await Deno.remove(directory, { recursive: true });
Deno.exit(0);
