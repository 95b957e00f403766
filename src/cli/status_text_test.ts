import assert from "node:assert/strict";
import { sampleHealth, sampleStatus } from "../../tests/support/health_sample.ts";
import { formatStatus } from "./status_text.ts";

const PLAIN = { colour: false };

Deno.test("formatStatus() tells state, reason, peer, VIPs, services, copies and history", () => {
  const lines = formatStatus(sampleStatus(), PLAIN).split("\n");
  assert.deepEqual(lines.map((line) => line.replace(/ {2,}/, " | ")), [
    "siege | slave, active for 90 s".replace("90 s", "2 min"),
    "because | S-TAKE: the peer is silent on all links",
    "peer | dead, master, active",
    "link voip | eth0: ping 0.4 ms, http 1.2 ms",
    "VIP voip | 10.20.0.10 held by me",
    "services | all running, telephony answers (asterisk.service)",
    "gate | open",
    "copies verified | equal, 24 h ago",
    "fencing | required, off of the slave by fence_ipmilan: its device answers",
    "configuration | ffffffffffff, read 2026-01-31 11:00:00 UTC",
    "12:00:00 | S-TAKE: the peer is silent on all links",
  ]);
});

Deno.test("formatStatus() writes escape sequences only when colours are wanted", () => {
  const document = sampleStatus({ alerts: ["the disk is full"] });
  const plain = formatStatus(document, PLAIN);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(plain, /\x1b/);
  const coloured = formatStatus(document, { colour: true });
  // deno-lint-ignore no-control-regex
  assert.match(coloured, /\x1b\[31mthe disk is full\x1b\[0m/);
  // deno-lint-ignore no-control-regex
  assert.equal(coloured.replaceAll(/\x1b\[\d+m/g, ""), plain);
});

Deno.test("formatStatus() of the active node shows what it sent, elsewhere what it received", () => {
  const [received] = sampleStatus().dataSets;
  const { node } = sampleStatus();
  const dataSets = [
    { ...received!, direction: "sent" as const, size: 12_300_000, ageMs: 61_000 },
    { ...received!, ageMs: null, lastError: "disk full" },
  ];
  const active = formatStatus(sampleStatus({ dataSets }), PLAIN);
  assert.match(
    active,
    /^astdb sent +61 s old, of 2026-01-31 11:58:59 UTC, 12\.3 MB, in 0\.2 s, 0\.2 MB\/s, sha256 a{12}, epoch 4$/m,
  );
  assert.doesNotMatch(active, /received/);
  const standby = formatStatus(
    sampleStatus({ dataSets, node: { ...node, state: "standby" } }),
    PLAIN,
  );
  assert.match(standby, /^astdb received +never, .*, last error: disk full$/m);
  assert.doesNotMatch(standby, /sent/);
});

Deno.test("formatStatus() shows a gate that is closed or missing, and a shield only while it is up", () => {
  const { gate, shield } = sampleStatus();
  const text = formatStatus(
    sampleStatus({
      gate: { ...gate, open: false, installed: false, missing: ["monit.service"] },
      shield: { ...shield, up: true, since: "2026-01-31T12:00:00.000Z", endsInMs: 4000 },
    }),
    PLAIN,
  );
  assert.match(text, /^gate +closed, missing on monit\.service$/m);
  assert.match(text, /^shield +up: udp:5060 tcp:5060 tcp:5061 dropped since 2026-01-31T12:00/m);
  const none = formatStatus(sampleStatus({ gate: { ...gate, units: [] } }), PLAIN);
  assert.doesNotMatch(none, /^(gate|shield)/m);
});

Deno.test("formatStatus() names illness, isolation, a stranger, a dead link, a goal and an unlike peer", () => {
  const { peer, vips, links, services } = sampleStatus();
  const text = formatStatus(
    sampleStatus({
      fit: false,
      unfitReasons: ["network voip: no carrier", "services: stopped"],
      isolated: true,
      goal: { name: "take", step: "start-services", sinceMs: 4000 },
      peer: { ...peer, report: sampleHealth({ fit: false }), configMatches: false },
      vips: [{ ...vips[0]!, holder: "stranger", holderMac: "02:00:00:00:00:99" }],
      links: [{ ...links[0]!, interface: null, carrier: false }],
      services: { ...services, names: [], running: "none", healthy: false },
    }),
    PLAIN,
  );
  assert.match(text, /active for 2 min, take: start-services for 4 s/);
  assert.match(text, /^unfit +network voip: no carrier; services: stopped$/m);
  assert.match(text, /^isolated +hears neither/m);
  assert.match(text, /^peer +dead, slave, standby, unfit, other configuration$/m);
  assert.match(text, /^VIP voip +10\.20\.0\.10 held by stranger \(02:00:00:00:00:99\)$/m);
  assert.match(text, /^link voip +no interface: no carrier, /m);
  assert.match(text, /^services +none running, telephony does not answer \(none configured\)$/m);
  const unheard = formatStatus(sampleStatus({ peer: { ...peer, report: null } }), PLAIN);
  assert.match(unheard, /^peer +dead, its relais has not answered$/m);
});

Deno.test("formatStatus() tells when a set runs next and how far a running copy is", () => {
  const { node, dataSets: [sample] } = sampleStatus();
  const text = formatStatus(
    sampleStatus({
      node: { ...node, state: "active" },
      dataSets: [
        { ...sample!, direction: "sent", nextRunInMs: 65_000 },
        {
          ...sample!,
          set: "database",
          direction: "sent",
          size: null,
          durationMs: 0,
          running: { phase: "dump", doneBytes: 12e6, totalBytes: 600e6, elapsedMs: 900 },
        },
        {
          ...sample!,
          set: "files",
          direction: "sent",
          running: {
            phase: "send",
            doneBytes: 3e6,
            totalBytes: null,
            elapsedMs: 900,
            tablesDone: 7,
            tablesTotal: 40,
            bytesPerSecond: 2e6,
            remainingMs: 40_000,
          },
        },
      ],
    }),
    PLAIN,
  );
  assert.match(text, /^astdb sent .*, epoch 4, next in 65 s$/m);
  assert.match(text, /^database sent .* in 0\.0 s, .*epoch 4, now: dump 12\.0 of 600\.0 MB$/m);
  assert.match(
    text,
    /^files sent .*, now: send 3\.0 MB, 7 of 40 tables, 2\.0 MB\/s, about 40 s left$/m,
  );
});
