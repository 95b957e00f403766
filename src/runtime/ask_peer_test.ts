import assert from "node:assert/strict";
import { sampleHealth } from "../../tests/support/health_sample.ts";
import { askPeer } from "./ask_peer.ts";

const signal = new AbortController().signal;

Deno.test("askPeer believes the first link that answers, and names all of them when none does", async () => {
  let health = { ...sampleHealth(), ready: true };
  const listening = { hostname: "127.0.0.1", port: 0, onListen: (): void => {} };
  const server = Deno.serve(listening, () => Response.json(health));
  const { port } = server.addr;
  // Nothing listens at 127.0.0.2.
  const addresses = ["127.0.0.2", "127.0.0.1"];
  await askPeer(addresses, { port, signal });
  health = { ...health, state: "rejoining", ready: false };
  await assert.rejects(askPeer(addresses, { port, signal }), /as it is rejoining, not ready/);
  await server.shutdown();
  await assert.rejects(
    askPeer(addresses, { port, signal }),
    /Cannot reach the peer's relais: .*127\.0\.0\.2.*127\.0\.0\.1/,
  );
});

Deno.test("askPeer is bounded by its deadline and by its signal", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = silent.addr as Deno.NetAddr;
  await assert.rejects(askPeer(["127.0.0.1"], { port, signal, deadlineMs: 100 }), /than 100 ms/);
  const cancelled = AbortSignal.abort();
  await assert.rejects(askPeer(["127.0.0.1"], { port, signal: cancelled }), /cancelled/);
  silent.close();
});
