/**
 * Hears the ARP announcements on one interface, for `arp_ear.ts`: prints one JSON line
 * `{ "ip": "10.20.0.10", "mac": "02:…", "operation": 1 }` for each gratuitous request (1) or reply (2).
 *
 * Argument: the interface. Ends with its standard input.
 *
 * @module
 */

import { ETH_P_ARP, openPacketSocket, receiveFrom, waitReadable } from "./blocking_socket.ts";

const [interfaceName = "eth0"] = Deno.args;
const fd = openPacketSocket(interfaceName, ETH_P_ARP);
print({ ready: true });
const input = new Uint8Array(64);
while (true) {
  const readable = waitReadable([0, fd], 1_000);
  if (readable.includes(0) && Deno.stdin.readSync(input) === null) break;
  for (let taken = 0; taken < 1_000; taken++) {
    const received = receiveFrom(fd);
    if (received === null || typeof received === "number") break;
    const { bytes } = received;
    const sender = bytes.subarray(14, 18).join(".");
    // RFC 5227: an announcement has the same sender and target address.
    if (bytes.length < 28 || bytes.subarray(24, 28).join(".") !== sender) continue;
    const mac = [...bytes.subarray(8, 14)].map((byte) => byte.toString(16).padStart(2, "0"));
    print({ ip: sender, mac: mac.join(":"), operation: bytes[7] });
  }
}

function print(value: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
}
