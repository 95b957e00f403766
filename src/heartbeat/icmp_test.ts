/** Real echo requests between namespaces; root only. */

import assert from "node:assert/strict";
import { Lan, type LanHost, Netns, whyNoNamespaces } from "../../tests/support/netns_min.ts";
import { poll } from "../../tests/support/poll.ts";
import { systemClock } from "../os/clock.ts";
import { libc } from "../os/libc.ts";
import { Poller } from "../os/poller.ts";
import { IcmpPinger, MAX_OUTSTANDING } from "./icmp.ts";
import { decodeEcho, encodeEchoReply, type Family } from "./icmp_frame.ts";
import { IcmpSocket } from "./icmp_socket.ts";

libc(); // Opened here, as it stays open: inside a test it would count as a leak.

const ignore = whyNoNamespaces() !== null;
const WITHIN = { deadlineMs: 15_000 };

interface Reply {
  readonly address: string;
  readonly rttMs: number;
  readonly atMs: number;
}

interface Pinging {
  readonly lan: Lan;
  readonly host: LanHost;
  readonly pinger: IcmpPinger;
  readonly replies: Reply[];
}

/** Two hosts on a switch, a pinger on the first. */
async function withPinger(use: (pinging: Pinging) => Promise<void>): Promise<void> {
  await using lan = await Lan.open(2);
  const host = lan.hosts[0]!;
  const poller = new Poller();
  // The IPv6 socket opens at the first IPv6 request: make it in the namespace too.
  const pinger = host.netns.within(() => {
    const made = new IcmpPinger({ poller, clock: systemClock });
    made.ping("fd09::1");
    return made;
  });
  poller.start();
  try {
    await poll(() => pinger.counters.received === 1, { ...WITHIN, what: "the echo to itself" });
    const replies: Reply[] = [];
    pinger.onReply((address, rttMs, atMs) => replies.push({ address, rttMs, atMs }));
    await use({ lan, host, pinger, replies });
  } finally {
    pinger.close();
    await poller.stop();
  }
}

Deno.test({
  name: "IcmpPinger hears the replies of both IP versions, in canonical text",
  ignore,
  fn: () =>
    withPinger(async ({ pinger, replies }) => {
      const before = performance.now();
      pinger.ping("10.9.0.2", { onLink: true, source: "10.9.0.1" });
      pinger.ping("FD09:0::2", { onLink: true, source: "fd09::1" });
      await poll(() => replies.length === 2, { ...WITHIN, what: "two replies" });
      assert.deepEqual(replies.map((reply) => reply.address).sort(), ["10.9.0.2", "fd09::2"]);
      for (const { rttMs, atMs } of replies) {
        assert.ok(rttMs > 0 && rttMs < WITHIN.deadlineMs);
        assert.ok(atMs >= before && atMs <= performance.now());
      }
      assert.equal(pinger.counters.ignored, 0);
    }),
});

Deno.test({
  name: "IcmpPinger.ping() asks from the given source address, not from a VIP",
  ignore,
  fn: () =>
    withPinger(async ({ lan, host, pinger, replies }) => {
      // The kernel prefers the newest address of a prefix as IPv6 source: a mounted VIP.
      await host.netns.ip("address", "add", "fd09::10/64", "dev", "eth0", "nodad");
      const peer = lan.hosts[1]!;
      // The peer drops what comes from the VIP, so only a request from fd09::1 is answered.
      await peer.netns.ip("-6", "route", "add", "blackhole", "fd09::10/128");
      pinger.ping("fd09::2", { onLink: true, source: "fd09::1" });
      await poll(() => replies.length === 1, { ...WITHIN, what: "a reply" });
    }),
});

Deno.test({
  name: "IcmpPinger.drain() takes replies that the poller has not come round to",
  ignore,
  async fn(): Promise<void> {
    await using lan = await Lan.open(2);
    const idle = new Poller(); // never started
    const pinger = lan.hosts[0]!.netns.within(() =>
      new IcmpPinger({ poller: idle, clock: systemClock })
    );
    pinger.ping("10.9.0.2");
    await poll(() => {
      pinger.drain();
      return pinger.counters.received === 1;
    }, { ...WITHIN, what: "the reply" });
    pinger.close();
  },
});

Deno.test({
  name: "IcmpPinger.discard() makes replies that wait in the socket count for nothing",
  ignore,
  async fn(): Promise<void> {
    await using lan = await Lan.open(1);
    const idle = new Poller(); // never started
    const pinger = lan.hosts[0]!.netns.within(() =>
      new IcmpPinger({ poller: idle, clock: systemClock })
    );
    // To itself: the reply is in the socket when ping() returns.
    pinger.ping("10.9.0.1");
    pinger.discard();
    pinger.drain();
    assert.deepEqual([pinger.counters.received, pinger.counters.ignored], [0, 1]);
    pinger.ping("10.9.0.1");
    pinger.drain();
    assert.equal(pinger.counters.received, 1);
    pinger.close();
  },
});

/** Answers like a host would, but with a change made to the reply. */
async function answerOnce(
  answerer: IcmpSocket,
  forge: (request: { identifier: number; sequence: number; payload: Uint8Array }) => {
    identifier: number;
    sequence: number;
    payload: Uint8Array;
  },
  source: string | null,
  requests: { family: Family; message: Uint8Array },
): Promise<void> {
  const request = decodeEcho(requests.family, requests.message);
  assert.ok(request !== null);
  const { identifier, sequence, payload } = forge(request);
  const reply = encodeEchoReply(requests.family, { identifier, sequence, payload });
  assert.equal(answerer.send("10.9.0.1", reply, { onLink: true, source }), 0);
  await Promise.resolve();
}

Deno.test({
  name: "IcmpPinger ignores and counts replies with a foreign token, identifier, number or source",
  ignore,
  fn: () =>
    withPinger(async ({ lan, pinger, replies }) => {
      const peer = lan.hosts[1]!.netns;
      // The peer's kernel must not answer; the test answers in its place with forged replies.
      await peer.sysctl("net.ipv4.icmp_echo_ignore_all", "1");
      await peer.ip("address", "add", "10.9.0.77/24", "dev", "eth0");
      const forger = peer.within(() => new RequestListener());
      try {
        pinger.ping("10.9.0.2", { onLink: true });
        const message = await poll(() => forger.take(), { ...WITHIN, what: "the request" });
        const requests = { family: 4 as const, message };
        const forgeries: [Parameters<typeof answerOnce>[1], string | null][] = [
          [(r) => ({ ...r, payload: r.payload.with(0, r.payload[0]! ^ 1) }), null],
          [(r) => ({ ...r, payload: r.payload.subarray(0, 8) }), null],
          [(r) => ({ ...r, payload: new Uint8Array(0) }), null],
          [(r) => ({ ...r, identifier: r.identifier ^ 1 }), null],
          [(r) => ({ ...r, sequence: (r.sequence + 1) & 0xffff }), null],
          [(r) => r, "10.9.0.77"],
        ];
        for (const [forge, source] of forgeries) {
          await answerOnce(forger.socket, forge, source, requests);
        }
        await poll(() => pinger.counters.ignored === forgeries.length, {
          ...WITHIN,
          what: "all forgeries counted",
          instead: () => JSON.stringify(pinger.counters),
        });
        assert.equal(replies.length, 0);
        // The true reply is still accepted, once.
        await answerOnce(forger.socket, (r) => r, null, requests);
        await answerOnce(forger.socket, (r) => r, null, requests);
        await poll(() => pinger.counters.ignored === forgeries.length + 1, {
          ...WITHIN,
          what: "the doubled reply counted",
        });
        assert.deepEqual(replies.map((reply) => reply.address), ["10.9.0.2"]);
      } finally {
        forger.close();
      }
    }),
});

/** A raw ICMP socket without the filter of {@linkcode IcmpSocket}: hears requests. */
class RequestListener {
  readonly socket = new IcmpSocket(4);
  constructor() {
    const value = new Uint8Array(4).fill(0); // ICMP_FILTER: nothing blocked
    libc().setsockopt(this.socket.fd, 255, 1, value, 4);
  }
  /** The next echo request; null when none waits. */
  take(): Uint8Array | null {
    const received = this.socket.receive();
    if (received === null || received === "garbage") return null;
    return decodeEcho(4, received.message)?.kind === "request" ? received.message.slice() : null;
  }
  close(): void {
    this.socket.close();
  }
}

Deno.test({
  name: "IcmpPinger.ping() counts what can't be sent and goes on",
  ignore,
  fn: () =>
    withPinger(async ({ pinger, replies }) => {
      pinger.ping("192.0.2.1", { onLink: true });
      assert.equal(pinger.counters.sendErrors, 1);
      assert.equal(pinger.lastSendError, 101); // ENETUNREACH
      pinger.ping("10.9.0.2", { source: "10.9.0.99" }); // not an address of this host
      assert.equal(pinger.counters.sendErrors, 2);
      pinger.ping("10.9.0.2");
      assert.equal(pinger.lastSendError, null);
      await poll(() => replies.length === 1, { ...WITHIN, what: "the reply" });
    }),
});

/** The peer has a second way in: a router on another network that both hosts are on. */
async function addDetour(lan: Lan, router: Netns): Promise<void> {
  for (const [i, { netns }] of lan.hosts.entries()) {
    const port = `eth${i}`;
    await router.ip(
      ...`link add ${port} type veth peer name back0 netns ${netns.pid}`.split(" "),
    );
    await router.ip("link", "set", port, "up");
    await router.ip("address", "add", `10.8.${i}.254/24`, "dev", port);
    await router.ip("address", "add", `fd08:${i}::254/64`, "dev", port, "nodad");
    await netns.ip("link", "set", "back0", "up");
    await netns.ip("address", "add", `10.8.${i}.1/24`, "dev", "back0");
    await netns.ip("address", "add", `fd08:${i}::1/64`, "dev", "back0", "nodad");
    await netns.ip("route", "add", "default", "via", `10.8.${i}.254`);
    await netns.ip("-6", "route", "add", "default", "via", `fd08:${i}::254`);
    for (const key of ["all", "back0"]) await netns.sysctl(`net.ipv4.conf.${key}.rp_filter`, "0");
  }
  await router.sysctl("net.ipv4.ip_forward", "1");
  await router.sysctl("net.ipv6.conf.all.forwarding", "1");
  // The router knows the peer's address on the network that is down.
  await router.ip("route", "add", "10.9.0.2/32", "via", "10.8.1.1");
  await router.ip("-6", "route", "add", "fd09::2/128", "via", "fd08:1::1");
}

Deno.test({
  name: "IcmpPinger.ping() with onLink does not reach the peer by a detour while the link is down",
  ignore,
  fn: () =>
    withPinger(async ({ lan, host, pinger, replies }) => {
      const router = await Netns.open();
      try {
        await addDetour(lan, router);
        await host.netns.ip("link", "set", "eth0", "down");
        // Without onLink the detour works, which is what makes it false evidence.
        await poll(() => {
          pinger.ping("10.9.0.2");
          pinger.ping("fd09::2");
          return new Set(replies.map((reply) => reply.address)).size === 2;
        }, { ...WITHIN, what: "replies by the detour" });
        // Let the replies that are still under way come in before counting those that must not.
        await poll(() => pinger.counters.sent - 1 === replies.length, {
          ...WITHIN,
          what: "all replies by the detour",
        });
        const before = replies.length;
        for (let i = 0; i < 5; i++) {
          pinger.ping("10.9.0.2", { onLink: true });
          pinger.ping("fd09::2", { onLink: true });
        }
        // Replies come in order on this path: these two come after any reply to the above.
        pinger.ping("10.9.0.2");
        pinger.ping("fd09::2");
        await poll(() => replies.length >= before + 2, { ...WITHIN, what: "the last replies" });
        assert.equal(replies.length, before + 2);
      } finally {
        await router.close();
      }
    }),
});

Deno.test({
  name: "IcmpPinger remembers a bounded number of requests",
  ignore,
  async fn(): Promise<void> {
    await using lan = await Lan.open(1);
    const idle = new Poller(); // never started: replies stay in the socket
    const pinger = lan.hosts[0]!.netns.within(() =>
      new IcmpPinger({ poller: idle, clock: systemClock })
    );
    // The first answers are in the socket (the rest did not fit), the first request pushed out of the table by later ones.
    for (let i = 0; i <= MAX_OUTSTANDING; i++) pinger.ping("10.9.0.1");
    assert.equal(pinger.counters.sent, MAX_OUTSTANDING + 1);
    pinger.drain();
    assert.equal(pinger.counters.ignored, 1);
    assert.ok(pinger.counters.received > 0);
    pinger.close();
  },
});
