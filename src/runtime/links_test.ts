import assert from "node:assert/strict";
import type { VipLink } from "../arp/vip_link.ts";
import { localConfig, parseConfig } from "../config/load.ts";
import type { HttpProbe } from "../heartbeat/http_probe.ts";
import type { IcmpPinger, ReplyCallback } from "../heartbeat/icmp.ts";
import { systemClock } from "../os/clock.ts";
import { libc } from "../os/libc.ts";
import { sampleHealth } from "../../tests/support/health_sample.ts";
import { poll } from "../../tests/support/poll.ts";
import { relaisToml } from "../../tests/support/relais_config.ts";
import { Links } from "./links.ts";

libc(); // Opened here, as it stays open: inside a test it would count as a leak.

function links(toml: string, knownWitnesses: readonly string[] = []): Links {
  const config = localConfig(parseConfig(toml), "slave");
  return new Links({ config, clock: systemClock, knownWitnesses, onNews: () => {} });
}

Deno.test("Links.inherit() keeps what was heard on networks that both know, and asks at once", () => {
  const now = systemClock.nowMs();
  const before = links(relaisToml(), ["10.20.0.254", "10.30.0.254"]);
  for (const view of before.views) {
    view.lastIcmpAt = now - 100;
    view.lastHttpAt = now - 200;
    view.icmpSent = 7;
    view.nextPingAt = now + 60_000;
    view.witnessAt.set(view.network.witnesses[0] ?? "", now - 300);
  }
  before.pinger.counters.ignored = 3;
  const toml = relaisToml({ networks: ["lab", "data"] }).replaceAll("10.20.0.", "10.40.0.");
  const after = links(toml.replace('witnesses = ["10.30.0.254"]', 'witnesses = ["10.30.0.253"]'));
  after.inherit(before);
  const [lab, data] = after.views;
  assert.deepEqual([lab?.lastIcmpAt, lab?.lastHttpAt, lab?.icmpSent], [null, null, 0]);
  assert.deepEqual([data?.lastIcmpAt, data?.lastHttpAt, data?.icmpSent], [now - 100, now - 200, 7]);
  assert.equal(data?.witnessAt.size, 0, "another witness has not answered yet");
  assert.ok(after.views.every(({ nextPingAt }) => nextPingAt <= systemClock.nowMs()));
  assert.deepEqual([...after.knownWitnesses].sort(), ["10.20.0.254", "10.30.0.254"]);
  assert.equal(after.pinger.counters.ignored, 3);
  before.close();
  after.close();
});

Deno.test("Links.inherit() never replaces newer evidence by older, and forgets an address that changed", () => {
  const now = systemClock.nowMs();
  const before = links(relaisToml());
  for (const view of before.views) view.lastIcmpAt = now - 5000;
  const after = links(relaisToml().replace('master = "10.30.0.11"', 'master = "10.30.0.13"'));
  const [voip, data] = after.views;
  assert.ok(voip !== undefined && data !== undefined);
  voip.lastIcmpAt = now;
  after.inherit(before);
  after.inherit(before);
  assert.equal(voip.lastIcmpAt, now);
  assert.equal(data.lastIcmpAt, null);
  before.close();
  after.close();
});

Deno.test("Links.inherit() keeps the peer's last word", async () => {
  const body = sampleHealth({ role: "master", state: "active" });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json(body),
  );
  const base = localConfig(parseConfig(relaisToml({ vips: false })), "slave");
  const config = {
    ...base,
    networks: base.networks.map((network) => ({ ...network, master: "127.0.0.1" })),
    heartbeat: { ...base.heartbeat, httpPort: server.addr.port },
  };
  const options = { config, clock: systemClock, knownWitnesses: [], onNews: () => {} };
  const first = new Links(options);
  await poll(() => {
    first.askNow();
    return first.report !== null;
  }, { deadlineMs: 20_000, what: "the peer's word" });
  const next = new Links(options);
  next.inherit(first);
  assert.deepEqual(next.report, first.report);
  assert.equal(next.peer?.state, "active");
  first.close();
  next.close();
  await server.shutdown();
});

Deno.test("Links forgets VIP probes that went into a path that was broken, and keeps those of a whole one", () => {
  const replies: ReplyCallback[] = [];
  const pinger = {
    onReply: (callback: ReplyCallback) => replies.push(callback),
    close: () => {},
  } as unknown as IcmpPinger;
  const http = { close: () => {} } as unknown as HttpProbe;
  const config = localConfig(parseConfig(relaisToml()), "slave");
  const { intervalMs } = config.heartbeat;
  const made = new Links({
    config,
    clock: systemClock,
    knownWitnesses: [],
    onNews: () => {},
    ports: { pinger: () => pinger, http: () => http },
  });
  const [view] = made.views;
  assert.ok(view !== undefined);
  let discarded = 0;
  view.vipLink = { discard: () => discarded++, close: () => {} } as unknown as VipLink;
  const echo = (atMs: number): void => replies.forEach((reply) => reply(view.peerAddress, 1, atMs));
  echo(1000);
  assert.equal(discarded, 1, "nothing was heard before");
  echo(1000 + 2 * intervalMs);
  assert.equal(discarded, 1, "one lost echo is no broken path");
  echo(1000 + 5 * intervalMs);
  assert.equal(discarded, 2);
  made.close();
});
