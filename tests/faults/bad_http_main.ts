/**
 * An HTTP port that is no good: `garbage` answers whatever is asked with bytes that are no HTTP, or with
 * HTTP that says nonsense; `silent` takes connections and never says a word. Bounded: 200 connections.
 *
 *   bad_http_main.ts PORT garbage|silent
 *
 * @module
 */

const [port = "", manner = ""] = Deno.args;
const OPEN_MAX = 200;
const encoder = new TextEncoder();
const NONSENSE = [
  crypto.getRandomValues(new Uint8Array(512)),
  encoder.encode("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
  encoder.encode('HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"role":"no"'),
  encoder.encode("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{"),
  encoder.encode("HTTP/1.1 999 ?\r\n\r\n"),
  encoder.encode(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${"x".repeat(5000)}`),
];
const open: Deno.Conn[] = [];
const listener = Deno.listen({ port: Number(port) });
console.log("ready");
let count = 0;
for await (const connection of listener) {
  open.push(connection);
  if (open.length > OPEN_MAX) close(open.shift()!);
  if (manner === "garbage") {
    void answer(connection, NONSENSE[count++ % NONSENSE.length]!);
  }
}

async function answer(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  try {
    await connection.read(new Uint8Array(4096));
    await connection.write(bytes);
  } catch {
    // Gone.
  }
  close(connection);
}

function close(connection: Deno.Conn): void {
  const index = open.indexOf(connection);
  if (index >= 0) open.splice(index, 1);
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
