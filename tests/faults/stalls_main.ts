/**
 * How late this machine wakes a process that does nothing else, for `stalls.ts`: a timer each 5 ms in the
 * same runtime as the daemon's. Prints `{ "at": WALL_MS, "ms": LATE }` when it came more than 15 ms late.
 * Ends with its standard input.
 *
 * @module
 */

const EVERY_MS = 5;
const TOLD_FROM_MS = 15;

let due = performance.now() + EVERY_MS;
const encoder = new TextEncoder();
Deno.stdout.writeSync(encoder.encode('{"ready":true}\n'));

function turn(): void {
  const now = performance.now();
  const ms = now - due;
  if (ms > TOLD_FROM_MS) {
    const line = JSON.stringify({ at: Date.now(), ms: Math.round(ms) });
    Deno.stdout.writeSync(encoder.encode(`${line}\n`));
  }
  due = now + EVERY_MS;
  setTimeout(turn, EVERY_MS);
}

turn();
await Deno.stdin.read(new Uint8Array(1));
Deno.exit(0);
