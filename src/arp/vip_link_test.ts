/** Real frames between namespaces on a bridge; root only. */

import assert from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { Lan, whyNoNamespaces } from "../../tests/support/netns_min.ts";
import { poll } from "../../tests/support/poll.ts";
import { type Clock, systemClock } from "../os/clock.ts";
import { libc } from "../os/libc.ts";
import { Poller } from "../os/poller.ts";
import { ethernetFrame, ETHERTYPE_ARP } from "./ethernet.ts";
import { arpReplyTo, decodeArp, gratuitousRequest } from "./frame.ts";
import { LinkSocket } from "./link_socket.ts";
import { neighbourAdvertisement } from "./neighbour.ts";
import { addressProtocol, type Frame } from "./protocol.ts";
import { VipLink, type VipLinkGoneError } from "./vip_link.ts";
import type { ForeignAnswer, VipAnswers } from "./watch.ts";

libc(); // Opened here, as it stays open: inside a test it would count as a leak.

const ignore = whyNoNamespaces() !== null;
const WITHIN = { deadlineMs: 15_000 };
const [OWN_MAC, PEER_MAC, THIRD_MAC] = [1, 2, 3].map((n) => `02:00:00:00:09:0${n}`) as [
  string,
  string,
  string,
];

/** The addresses of one IP version on {@linkcode Lan}. */
const NETWORKS = {
  4: { vip: "10.9.0.100", prefix: 24, own: "10.9.0.1", peer: "10.9.0.2", third: "10.9.0.3" },
  6: { vip: "fd09::100", prefix: 64, own: "fd09::1", peer: "fd09::2", third: "fd09::3" },
} as const;
type Family = keyof typeof NETWORKS;

interface Bench {
  readonly lan: Lan;
  readonly link: VipLink;
  readonly poller: Poller;
  readonly family: Family;
  readonly vip: string;
  readonly foreign: ForeignAnswer[];
  readonly ends: VipLinkGoneError[];
}

interface BenchOptions {
  readonly family: Family;
  readonly clock?: Clock;
  /** Default true. */
  readonly polling?: boolean;
  /** The first host's interface is down when the link is made. */
  readonly down?: boolean;
}

/** Three hosts on a switch; a link on the first, which has the second for its peer. */
async function withLink(
  options: BenchOptions,
  use: (bench: Bench) => Promise<void>,
): Promise<void> {
  const { family, clock = systemClock } = options;
  const { vip, own, peer } = NETWORKS[family];
  await using lan = await Lan.open(3);
  const [host] = lan.hosts;
  if (options.down === true) await host!.netns.ip("link", "set", "eth0", "down");
  const poller = new Poller();
  const foreign: ForeignAnswer[] = [];
  const ends: VipLinkGoneError[] = [];
  const link = host!.netns.within(() =>
    new VipLink({
      network: "voip",
      interfaceName: "eth0",
      interfaceIndex: host!.interfaceIndex,
      mac: host!.mac,
      vips: [vip],
      peerAddress: peer,
      ownAddress: own,
      clock,
      poller,
      onForeignAnswer: (answer) => foreign.push(answer),
      onSocketError: (error) => ends.push(error),
    })
  );
  if (options.polling !== false) poller.start();
  try {
    await use({ lan, link, poller, family, vip, foreign, ends });
  } finally {
    link.close();
    await poller.stop();
  }
}

function testEach(name: string, fn: (family: Family) => Promise<void>): void {
  for (const family of [4, 6] as const) {
    Deno.test({ name: `${name} (IPv${family})`, ignore, fn: () => fn(family) });
  }
}

/** Mounts or drops the VIP on host `n` (1 is the one with the link). */
async function mount(bench: Bench, n: number, verb: "add" | "del"): Promise<void> {
  const address = `${bench.vip}/${NETWORKS[bench.family].prefix}`;
  const nodad = bench.family === 6 && verb === "add" ? ["nodad"] : [];
  await bench.lan.hosts[n - 1]!.netns.ip("address", verb, address, "dev", "eth0", ...nodad);
}

/** Probes until there is an answer: a network that is just coming up may lose one. */
async function probeUntilAnswered(bench: Bench): Promise<VipAnswers> {
  return await poll(() => {
    const answers = bench.link.evidence().find((e) => e.lastAnswerAt !== null);
    if (answers === undefined) bench.link.probe();
    return answers;
  }, {
    ...WITHIN,
    everyMs: 40,
    what: "an answer",
    instead: () => JSON.stringify([bench.link.evidence(), bench.link.counters]),
  });
}

/** As {@linkcode probeUntilAnswered}, for the peer's own address. */
async function untilPeerKnown(bench: Bench): Promise<void> {
  await poll(() => {
    if (bench.link.peerMac === null) bench.link.probePeer();
    return bench.link.peerMac;
  }, { ...WITHIN, everyMs: 40, what: "the peer's answer" });
}

/** A socket of host `n` for the test's own frames. */
function socketOn(bench: Bench, n: number): LinkSocket {
  const { netns, interfaceIndex } = bench.lan.hosts[n - 1]!;
  const { ethertype } = addressProtocol(bench.family, OWN_MAC);
  const everything = [{ code: 0x06, jt: 0, jf: 0, k: 0xffff }];
  return netns.within(() =>
    new LinkSocket({ interfaceName: "eth0", interfaceIndex, ethertype, filter: everything })
  );
}

/** A frame in which `mac` claims the VIP. */
function claim(bench: Bench, mac: string): Frame {
  return bench.family === 4
    ? gratuitousRequest({ mac, ip: bench.vip })
    : neighbourAdvertisement({ mac, ip: bench.vip });
}

testEach(
  "VipLink.probe() finds the peer with its Ethernet address",
  (family) =>
    withLink({ family }, async (bench) => {
      await mount(bench, 2, "add");
      assert.equal(bench.link.peerMac, null);
      await untilPeerKnown(bench);
      assert.equal(bench.link.peerMac, PEER_MAC);
      const answers = await probeUntilAnswered(bench);
      assert.equal(answers.lastAnswerBy, "peer");
      assert.equal(answers.lastAnswerMac, PEER_MAC);
      assert.equal(answers.unansweredProbes, 0);
      assert.equal(answers.network, "voip");
      assert.deepEqual(bench.foreign, [], "no VIP of ours, so nothing foreign");
      assert.equal(bench.link.counters.garbage, 0);
    }),
);

testEach(
  "VipLink.probe() tells a stranger from the peer",
  (family) =>
    withLink({ family }, async (bench) => {
      await mount(bench, 3, "add");
      await untilPeerKnown(bench);
      const answers = await probeUntilAnswered(bench);
      assert.deepEqual([answers.lastAnswerBy, answers.lastAnswerMac], ["stranger", THIRD_MAC]);
    }),
);

testEach(
  "VipLink counts unanswered probes once the holder drops the VIP",
  (family) =>
    withLink({ family }, async (bench) => {
      await mount(bench, 2, "add");
      await probeUntilAnswered(bench);
      await mount(bench, 2, "del");
      await poll(() => {
        bench.link.probe();
        return bench.link.evidence().some((e) => e.unansweredProbes >= 3);
      }, { ...WITHIN, what: "three unanswered probes", everyMs: 40 });
      // It comes back: one answer takes them all back.
      await mount(bench, 2, "add");
      await poll(() => {
        bench.link.probe();
        return bench.link.evidence().some((e) => e.unansweredProbes === 0);
      }, { ...WITHIN, what: "an answer again", everyMs: 40 });
    }),
);

/** The Ethernet address that host 3 would send frames for the VIP to. */
async function neighbourEntry(bench: Bench): Promise<string | undefined> {
  const { netns } = bench.lan.hosts[2]!;
  const entries = JSON.parse(await netns.ip("-json", "neigh", "show", bench.vip, "dev", "eth0"));
  return entries[0]?.lladdr;
}

testEach(
  "VipLink.announce() moves a third host's neighbour entry to us",
  (family) =>
    withLink({ family }, async (bench) => {
      await mount(bench, 2, "add");
      const third = bench.lan.hosts[2]!.netns;
      await poll(async () => {
        await third.run("ping", "-c1", "-W1", bench.vip);
        return await neighbourEntry(bench) === PEER_MAC;
      }, { ...WITHIN, what: "the entry of the peer" });
      await mount(bench, 2, "del");
      await mount(bench, 1, "add");
      assert.equal(await neighbourEntry(bench), PEER_MAC);
      bench.link.setHeld(new Set([bench.vip]));
      bench.link.announce([bench.vip]);
      await poll(async () => await neighbourEntry(bench) === OWN_MAC, {
        ...WITHIN,
        what: "the entry moved",
        instead: async () => String(await neighbourEntry(bench)),
      });
    }),
);

testEach(
  "VipLink tells neighbours directly too",
  (family) =>
    withLink({ family, clock: new ManualClock() }, async (bench) => {
      const { third } = NETWORKS[family];
      const listener = socketOn(bench, 3);
      bench.link.setNeighbours([{ address: third, mac: THIRD_MAC }]);
      bench.link.setHeld(new Set([bench.vip]));
      bench.link.announce([bench.vip]);
      const { decode } = addressProtocol(family, THIRD_MAC);
      const destinations: string[] = [];
      const everybody = family === 4 ? ["ffffffffffff", "ffffffffffff"] : ["333300000001"];
      await poll(() => {
        for (const frame of framesOf(listener)) {
          const claimed = decode(frame);
          if (claimed === null || claimed === "silent" || claimed.address !== bench.vip) continue;
          destinations.push(frame.subarray(0, 6).toHex());
        }
        return destinations.length > everybody.length;
      }, { ...WITHIN, what: "announcements", instead: () => destinations.join(" ") });
      assert.deepEqual(destinations, [...everybody, "020000000903"]);
      assert.equal(bench.link.counters.announcementsSent, 1);
      listener.close();
    }),
);

/** How many claims to the VIP wait in a socket. */
function claimsIn(bench: Bench, socket: LinkSocket): number {
  const { decode } = addressProtocol(bench.family, OWN_MAC);
  return framesOf(socket).map(decode)
    .filter((said) => said !== null && said !== "silent" && said.address === bench.vip).length;
}

/** Frames that wait in a socket. */
function framesOf(socket: LinkSocket): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let got = socket.receive(); got !== null; got = socket.receive()) {
    if (got instanceof Uint8Array) frames.push(got.slice());
  }
  return frames;
}

testEach("VipLink announces nothing that is not held, and stops as soon as it is not", (family) => {
  const clock = new ManualClock();
  return withLink({ family, clock }, async (bench) => {
    bench.link.announce([bench.vip]);
    await clock.advance(1000);
    assert.equal(bench.link.counters.announcementsSent, 0);
    bench.link.setHeld(new Set([bench.vip]));
    bench.link.announce([bench.vip]);
    await clock.advance(600);
    assert.equal(bench.link.counters.announcementsSent, 3);
    bench.link.setHeld(new Set());
    await clock.advance(60_000);
    assert.equal(bench.link.counters.announcementsSent, 3);
    bench.link.setHeld(new Set([bench.vip]));
    await clock.advance(60_000);
    assert.equal(bench.link.counters.announcementsSent, 3, "not by itself again");
    bench.link.announce([bench.vip]);
    bench.link.stopAnnouncing();
    await clock.advance(60_000);
    assert.equal(bench.link.counters.announcementsSent, 4);
  });
});

testEach(
  "VipLink reports others who speak for a VIP that we hold",
  (family) =>
    withLink({ family }, async (bench) => {
      const third = socketOn(bench, 3);
      bench.link.setHeld(new Set([bench.vip]));
      third.send(claim(bench, THIRD_MAC));
      await poll(() => bench.foreign.length > 0, { ...WITHIN, what: "the report" });
      const [report] = bench.foreign;
      assert.deepEqual([report?.vip, report?.mac, report?.by], [bench.vip, THIRD_MAC, "stranger"]);
      // The peer, once it is known.
      await untilPeerKnown(bench);
      third.send(claim(bench, PEER_MAC));
      await poll(() => bench.foreign.at(-1)?.by === "peer", { ...WITHIN, what: "the report" });
      third.close();
    }),
);

testEach(
  "VipLink.setHeld() judges what came before by what was true then",
  (family) =>
    withLink({ family, polling: false }, async (bench) => {
      const third = socketOn(bench, 3);
      const mine = socketOn(bench, 1);
      third.send(claim(bench, THIRD_MAC));
      // Once the frame is in the other socket of this host it is in the link's too.
      await poll(() => claimsIn(bench, mine) > 0, { ...WITHIN, what: "the frame" });
      bench.link.setHeld(new Set([bench.vip]));
      assert.equal(bench.link.evidence()[0]?.lastAnswerMac, THIRD_MAC);
      assert.deepEqual(bench.foreign, []);
      third.close();
      mine.close();
    }),
);

testEach(
  "VipLink.discard() forgets what waits in the socket, unreported",
  (family) =>
    withLink({ family, polling: false }, async (bench) => {
      const third = socketOn(bench, 3);
      const mine = socketOn(bench, 1);
      bench.link.setHeld(new Set([bench.vip]));
      third.send(claim(bench, THIRD_MAC));
      await poll(() => claimsIn(bench, mine) > 0, { ...WITHIN, what: "the frame" });
      bench.link.discard();
      assert.equal(bench.link.evidence()[0]?.lastAnswerMac, null);
      assert.deepEqual(bench.foreign, []);
      third.close();
      mine.close();
    }),
);

testEach(
  "VipLink ignores and counts its own frames that come back",
  (family) =>
    withLink({ family }, async (bench) => {
      const third = socketOn(bench, 3);
      bench.link.setHeld(new Set([bench.vip]));
      third.send(claim(bench, OWN_MAC));
      await poll(() => bench.link.counters.ownFrames === 1, { ...WITHIN, what: "the count" });
      assert.equal(bench.link.evidence()[0]?.lastAnswerMac, null);
      assert.deepEqual(bench.foreign, []);
      third.close();
    }),
);

testEach(
  "VipLink counts garbage and ignores frames with a VLAN tag",
  (family) =>
    withLink({ family }, async (bench) => {
      const third = socketOn(bench, 3);
      const good = claim(bench, THIRD_MAC);
      // IEEE 802.1Q: type 8100, VLAN 7, then the frame's own type and payload.
      const tagged = new Uint8Array([...good.subarray(0, 12), 0x81, 0, 0, 7, ...good.subarray(12)]);
      third.send(tagged);
      const spoilt = family === 4
        ? ethernetFrame({ destination: OWN_MAC, source: THIRD_MAC, type: ETHERTYPE_ARP }, good)
        : good.with(57, good[57]! ^ 1) as Frame; // wrong checksum
      third.send(spoilt);
      // Frames stay in order, so the tagged one is past when the spoilt one is counted.
      await poll(() => bench.link.counters.garbage === 1, {
        ...WITHIN,
        what: "the count",
        instead: () => JSON.stringify(bench.link.counters),
      });
      assert.equal(bench.link.evidence()[0]?.lastAnswerMac, null);
      third.close();
    }),
);

testEach(
  "VipLink is not woken by traffic that is none of its business",
  (family) =>
    withLink({ family }, async (bench) => {
      const third = socketOn(bench, 3);
      const host = bench.lan.hosts[0]!.netns;
      // 20 echoes of IPv4 and IPv6, and ARP from 20 addresses that are not watched.
      await host.run("ping", "-c20", "-i0.01", "-W1", NETWORKS[family].third);
      const me = { mac: OWN_MAC, ip: "10.9.0.1" };
      for (let n = 0; n < 20; n++) {
        third.send(arpReplyTo({ mac: THIRD_MAC, ip: `10.9.0.${n + 150}` }, me));
      }
      third.send(claim(bench, THIRD_MAC));
      await poll(() => bench.link.evidence()[0]?.lastAnswerMac, { ...WITHIN, what: "the claim" });
      // The ping itself needs a few neighbour messages (IPv6), which are let through.
      assert.ok(bench.link.counters.framesSeen <= 10, JSON.stringify(bench.link.counters));
      third.close();
    }),
);

testEach(
  "VipLink survives an interface that goes down and comes up again",
  (family) =>
    withLink({ family, down: true }, async (bench) => {
      const host = bench.lan.hosts[0]!.netns;
      bench.link.probe();
      assert.equal(bench.link.lastError, "ENETDOWN");
      assert.deepEqual(bench.link.counters.probesSent, 0, "a probe that did not leave is none");
      assert.equal(bench.link.counters.sendErrors, 1);
      await mount(bench, 2, "add");
      for (let round = 0; round < 2; round++) {
        await host.ip("link", "set", "eth0", "up");
        bench.link.discard();
        await poll(() => {
          bench.link.probe();
          return bench.link.evidence()[0]?.lastAnswerMac === PEER_MAC;
        }, { ...WITHIN, what: "an answer once up" });
        await host.ip("link", "set", "eth0", "down");
        await poll(() => bench.link.lastError === "ENETDOWN", { ...WITHIN, what: "the error" });
      }
      assert.deepEqual(bench.ends, [], "down is not gone");
      await assertIdle(bench.poller);
    }),
);

/** The loop does not spin: it goes round a few times at most, and once a second. */
async function assertIdle(poller: Poller): Promise<void> {
  const [rounds, since] = [poller.rounds, performance.now()];
  await poll(() => performance.now() - since > 300, { ...WITHIN, what: "300 ms" });
  const seconds = (performance.now() - since) / 1000;
  assert.ok(poller.rounds - rounds < 10 + seconds, `${poller.rounds - rounds} in ${seconds} s`);
}

testEach(
  "VipLink says once that its interface was deleted, and does not spin",
  (family) =>
    withLink({ family }, async (bench) => {
      await bench.lan.hosts[0]!.netns.ip("link", "del", "eth0");
      await poll(() => {
        bench.link.probe();
        bench.link.evidence();
        return bench.link.gone;
      }, { ...WITHIN, what: "the end" });
      await assertIdle(bench.poller);
      bench.link.probe();
      bench.link.probePeer();
      assert.equal(bench.ends.length, 1);
      assert.equal(bench.ends[0]?.network, "voip");
      assert.match(bench.ends[0]?.message ?? "", /eth0 .* was deleted/);
    }),
);

Deno.test({
  name: "VipLink refuses an interface that is not Ethernet",
  ignore,
  async fn(): Promise<void> {
    await using lan = await Lan.open(1);
    const make = (interfaceIndex: number) => (): VipLink =>
      lan.hosts[0]!.netns.within(() =>
        new VipLink({
          network: "voip",
          interfaceName: "lo",
          interfaceIndex,
          mac: OWN_MAC,
          vips: ["10.9.0.100"],
          peerAddress: "10.9.0.2",
          ownAddress: "10.9.0.1",
          clock: systemClock,
          poller: new Poller(),
          onForeignAnswer: () => {},
          onSocketError: () => {},
        })
      );
    assert.throws(make(1), /Cannot watch lo as it is not Ethernet/);
    assert.throws(make(999), /ENODEV: check that the interface exists/);
  },
});

Deno.test({
  name: "VipLink sends gratuitous ARP as request and as reply",
  ignore,
  fn: () =>
    withLink({ family: 4, clock: new ManualClock() }, async (bench) => {
      const listener = socketOn(bench, 3);
      bench.link.setHeld(new Set([bench.vip]));
      bench.link.announce([bench.vip]);
      const forms: (string | undefined)[] = [];
      await poll(() => {
        forms.push(...framesOf(listener).map((frame) => decodeArp(frame)?.op));
        return forms.length >= 2;
      }, { ...WITHIN, what: "two frames" });
      assert.deepEqual(forms, ["request", "reply"]);
      listener.close();
    }),
});
