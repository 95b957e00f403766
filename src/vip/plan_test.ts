import assert from "node:assert/strict";
import fc from "fast-check";
import "../../tests/support/seed.ts";
import type { NetworkConfig } from "../config/types.ts";
import type { AddressInfo, InterfaceInfo, RouteInfo } from "./iproute.ts";
import { isOurAddress, labelFor } from "./mark.ts";
import { type Desired, desiredOf, interfaceOf } from "./desired.ts";
import { correctionLines, plan, renewalLines } from "./plan.ts";

const CONTEXT = { vips: new Set(["10.0.0.1", "fd00::1"]), lifetimeS: 3 };

function address(text: string, options: Partial<AddressInfo> = {}): AddressInfo {
  const [local = "", prefix] = text.split("/");
  return {
    family: local.includes(":") ? 6 : 4,
    address: local,
    prefix: Number(prefix),
    label: null,
    validS: null,
    preferredS: null,
    tentative: false,
    dadFailed: false,
    nodad: false,
    noPrefixRoute: false,
    ...options,
  };
}

function link(name: string, addresses: readonly AddressInfo[], up = true): InterfaceInfo {
  return { name, index: 2, mac: null, up, carrier: up, addresses };
}

function route(options: Partial<RouteInfo> = {}): RouteInfo {
  return {
    family: 4,
    to: "0.0.0.0/0",
    via: "10.0.0.254",
    dev: "eth0",
    src: null,
    table: 254,
    metric: 0,
    protocol: 3,
    ...options,
  };
}

const OURS4 = address("10.0.0.1/32", { label: "eth0:relais", validS: 3, preferredS: 3 });
const OURS6 = address("fd00::1/128", {
  nodad: true,
  noPrefixRoute: true,
  validS: 2,
  preferredS: 0,
});
const VIP4 = { network: "voip", family: 4, address: "10.0.0.1", dev: "eth0" } as const;
const VIP6 = { network: "voip", family: 6, address: "fd00::1", dev: "eth0" } as const;
const ADD4 = "address add 10.0.0.1/32 dev eth0 label eth0:relais valid_lft 3 preferred_lft 3";
const ADD6 = "address add fd00::1/128 dev eth0 nodad noprefixroute valid_lft 3 preferred_lft 0";
const ROUTE4 = {
  network: "voip",
  family: 4,
  to: "0.0.0.0/0",
  via: "10.0.0.254",
  src: "10.0.0.1",
  table: 254,
  metric: null,
  dev: "eth0",
} as const;
const OUR_ROUTE4 = route({ src: "10.0.0.1", protocol: 173 });
const PREPEND = "route prepend 0.0.0.0/0 via 10.0.0.254 dev eth0 src 10.0.0.1 proto 173 table 254";
const DELETE = PREPEND.replace("prepend", "del");

interface Case {
  readonly name: string;
  readonly vips?: Desired["vips"];
  readonly routes?: Desired["routes"];
  readonly links: readonly InterfaceInfo[];
  readonly observedRoutes?: readonly RouteInfo[];
  readonly lines: readonly string[];
  readonly problems?: readonly RegExp[];
  readonly warnings?: readonly RegExp[];
}

const CASES: readonly Case[] = [
  { name: "mounts what is missing", vips: [VIP4, VIP6], links: [], lines: [ADD4, ADD6] },
  {
    name: "leaves what is right",
    vips: [VIP4, VIP6],
    links: [link("eth0", [OURS4, OURS6])],
    lines: [],
  },
  {
    name: "is not fooled by text that contains the VIP",
    vips: [VIP4, VIP6],
    links: [
      link("eth0", [
        address("110.0.0.1/32", { label: "eth0:relais" }),
        address("10.0.0.11/32"),
        address("fd00::11/128"),
      ]),
    ],
    lines: [ADD4, ADD6, "address del 110.0.0.1/32 dev eth0 label eth0:relais"],
  },
  {
    name: "moves a VIP from another interface",
    vips: [VIP4],
    links: [link("eth1", [{ ...OURS4, label: "eth1:relais" }]), link("eth0", [])],
    lines: [ADD4, "address del 10.0.0.1/32 dev eth1 label eth1:relais"],
  },
  {
    name: "corrects the prefix of ours",
    vips: [VIP4],
    links: [link("eth0", [{ ...OURS4, prefix: 24 }])],
    lines: [ADD4, "address del 10.0.0.1/24 dev eth0 label eth0:relais"],
  },
  {
    name: "does not touch the VIP of something else, on any interface",
    vips: [VIP4, VIP6],
    routes: [ROUTE4],
    links: [link("br0", [address("10.0.0.1/24", { label: "br0" }), address("fd00::1/64")])],
    lines: [],
    problems: [/configured on this host by something else: 10\.0\.0\.1\/24 on br0/, /fd00::1\/64/],
  },
  {
    name: "drops ours, and only ours",
    links: [link("eth0", [OURS4, OURS6, address("10.0.0.2/24"), address("10.0.0.1/24")])],
    observedRoutes: [OUR_ROUTE4, route(), route({ protocol: 17, src: "10.0.0.1" })],
    lines: [
      DELETE,
      "address del 10.0.0.1/32 dev eth0 label eth0:relais",
      "address del fd00::1/128 dev eth0",
    ],
  },
  {
    name: "keeps a VIP whose interface can't be told now",
    vips: [{ ...VIP4, dev: null }],
    links: [link("eth0", [OURS4])],
    lines: [],
    warnings: [/interface of network "voip" is absent or down/],
  },
  {
    name: "waits for an absent interface",
    vips: [{ ...VIP4, dev: null }],
    routes: [{ ...ROUTE4, dev: null }, { ...ROUTE4, dev: null, src: null }],
    links: [],
    lines: [],
    problems: [/Cannot mount 10\.0\.0\.1 as the interface/, /Cannot route to 0\.0\.0\.0\/0/],
  },
  {
    name: "puts its route before the former one",
    vips: [VIP4],
    routes: [ROUTE4],
    links: [],
    observedRoutes: [route(), route({ metric: 100 })],
    lines: [ADD4, PREPEND],
  },
  {
    name: "leaves its route alone while it is the first",
    routes: [ROUTE4],
    links: [],
    observedRoutes: [OUR_ROUTE4, route()],
    lines: [],
  },
  {
    name: "overtakes a route that was put before it",
    routes: [ROUTE4],
    links: [],
    observedRoutes: [route({ via: "10.0.0.7" }), OUR_ROUTE4],
    lines: [DELETE, PREPEND],
  },
  {
    name: "does not count the routes of other tables, destinations and families",
    routes: [ROUTE4],
    links: [],
    observedRoutes: [
      route({ table: 100 }),
      route({ to: "10.0.0.0/8" }),
      route({ family: 6, to: "::/0" }),
      OUR_ROUTE4,
    ],
    lines: [],
  },
  {
    name: "warns of a route that goes before a configured metric",
    routes: [{ ...ROUTE4, metric: 50 }],
    links: [],
    observedRoutes: [route({ metric: 10 }), { ...OUR_ROUTE4, metric: 50 }],
    lines: [],
    warnings: [/default via 10\.0\.0\.254 on eth0 metric 10 goes before it/],
  },
  {
    name: "replaces an IPv6 route of ours that lost its source",
    routes: [{ ...ROUTE4, family: 6, to: "::/0", via: "fd00::fe", src: "fd00::1" }],
    links: [],
    observedRoutes: [route({ family: 6, to: "::/0", via: "fd00::fe", metric: 1, protocol: 173 })],
    lines: [
      "route replace ::/0 via fd00::fe dev eth0 src fd00::1 proto 173 table 254 metric 1 expires 3",
    ],
  },
  {
    name: "goes one better than equal IPv6 metrics",
    routes: [{ ...ROUTE4, family: 6, to: "::/0", via: "fd00::fe", src: "fd00::1", metric: 1024 }],
    links: [],
    observedRoutes: [1024, 1023].map((metric) => route({ family: 6, to: "::/0", metric })),
    lines: [
      "route add ::/0 via fd00::fe dev eth0 src fd00::1 proto 173 table 254 metric 1022 expires 3",
    ],
  },
];

for (const c of CASES) {
  Deno.test(`plan() ${c.name}`, () => {
    const result = plan(
      { vips: c.vips ?? [], routes: c.routes ?? [] },
      { interfaces: c.links, routes: c.observedRoutes ?? [] },
      CONTEXT,
    );
    assert.deepEqual(result.operations.map((op) => op.line), c.lines);
    assertSentences(result.problems, c.problems ?? []);
    assertSentences(result.warnings, c.warnings ?? []);
  });
}

function assertSentences(sentences: readonly string[], patterns: readonly RegExp[]): void {
  assert.equal(sentences.length, patterns.length, sentences.join("; "));
  patterns.forEach((pattern, at) => assert.match(sentences[at] ?? "", pattern));
}

Deno.test("plan() never deletes what is not ours", () => {
  const anyAddress = fc.record({
    text: fc.constantFrom(
      "10.0.0.1/32",
      "10.0.0.1/24",
      "10.0.0.9/32",
      "fd00::1/128",
      "fd00::9/128",
    ),
    label: fc.constantFrom("eth0", "eth0:relais", "eth0:0", "relais", "eth0:relais2"),
    validS: fc.constantFrom(null, 2, 3, 600),
    nodad: fc.boolean(),
    noPrefixRoute: fc.boolean(),
  }).map(({ text, label, ...rest }) =>
    address(text, { ...rest, label: text.includes(":") ? null : label })
  );
  const anyRoute = fc.record({
    to: fc.constantFrom("0.0.0.0/0", "192.168.0.0/16"),
    via: fc.constantFrom("10.0.0.254", "10.0.0.253"),
    src: fc.constantFrom(null, "10.0.0.1"),
    metric: fc.constantFrom(0, 1, 100),
    protocol: fc.constantFrom(2, 3, 16, 173),
  }).map(route);
  fc.assert(fc.property(
    fc.array(anyAddress, { maxLength: 6 }),
    fc.array(anyRoute, { maxLength: 6 }),
    fc.boolean(),
    (addresses, routes, wanted) => {
      const desired = wanted ? { vips: [VIP4, VIP6], routes: [ROUTE4] } : { vips: [], routes: [] };
      const result = plan(desired, { interfaces: [link("eth0", addresses)], routes }, CONTEXT);
      for (const op of result.operations) {
        if (op.kind === "delete-route") assert.match(op.line, / proto 173 /);
        if (op.kind !== "delete-address") continue;
        assert.ok(
          addresses.some((a) =>
            isOurAddress(a, CONTEXT) &&
            op.line.startsWith(`address del ${a.address}/${a.prefix} `) &&
            op.line.endsWith(a.label === null ? "eth0" : ` label ${a.label}`)
          ),
          op.line,
        );
      }
    },
  ));
});

Deno.test("renewalLines() extends what is present where it is", () => {
  const ours6 = route({ family: 6, to: "::/0", via: "fd00::fe", src: "fd00::1", metric: 1 });
  const found = plan(
    {
      vips: [VIP4, { ...VIP6, dev: null }],
      routes: [{ ...ROUTE4, family: 6, to: "::/0", via: "fd00::fe", src: "fd00::1" }],
    },
    { interfaces: [link("eth0", [OURS4, OURS6])], routes: [{ ...ours6, protocol: 173 }] },
    CONTEXT,
  );
  assert.deepEqual(renewalLines(found, 3), [
    ADD4.replace(" add ", " replace "),
    ADD6.replace(" add ", " replace "),
    "route replace ::/0 via fd00::fe dev eth0 src fd00::1 proto 173 table 254 metric 1 expires 3",
  ]);
});

Deno.test("correctionLines() undoes the renewal of what is gone or not ours", () => {
  const renewed = { present: [{ vip: VIP4, dev: "eth0" }, { vip: VIP6, dev: "eth0" }] };
  const foreign = address("10.0.0.1/32", { label: "eth0", validS: 600, preferredS: 300 });
  const lines = correctionLines(
    renewed,
    { interfaces: [link("eth0", [foreign, OURS6])], routes: [] },
    CONTEXT,
  );
  assert.deepEqual(lines, [
    "address replace 10.0.0.1/32 dev eth0 valid_lft 600 preferred_lft 300",
  ]);
  assert.deepEqual(correctionLines(renewed, { interfaces: [], routes: [] }, CONTEXT), [
    "address del 10.0.0.1/32 dev eth0 label eth0:relais",
    "address del fd00::1/128 dev eth0",
  ]);
});

const NETWORK: NetworkConfig = {
  name: "voip",
  master: "10.0.0.2",
  slave: "10.0.0.3",
  family: 4,
  prefix: 24,
  vips: ["10.0.0.1"],
  routes: [{ to: "default", via: "10.0.0.254", src: null, table: null, metric: null }],
  witnesses: [],
  interface: null,
};

Deno.test("interfaceOf() wants the exact own address, or the configured name, and up", () => {
  const links = [
    link("eth1", [address("110.0.0.2/24"), address("10.0.0.22/24")]),
    link("eth2", [address("10.0.0.2/24")], false),
    link("eth0", [address("10.0.0.2/24")]),
  ];
  assert.equal(interfaceOf(NETWORK, "master", links)?.name, "eth0");
  assert.equal(interfaceOf(NETWORK, "slave", links), null);
  assert.equal(interfaceOf({ ...NETWORK, interface: "eth1" }, "slave", links)?.name, "eth1");
  assert.equal(interfaceOf({ ...NETWORK, interface: "eth2" }, "master", links), null);
});

Deno.test("desiredOf() gives routes the first VIP of their family as source", () => {
  const network: NetworkConfig = {
    ...NETWORK,
    vips: ["fd00::1", "10.0.0.1", "10.0.0.9"],
    routes: [
      { to: "default", via: "10.0.0.254", src: null, table: null, metric: null },
      { to: "2001:DB8::/32", via: null, src: null, table: "100", metric: 7 },
      { to: "192.168.0.0/16", via: "10.0.0.254", src: "10.0.0.9", table: null, metric: null },
    ],
  };
  const desired = desiredOf([network], {
    role: "master",
    interfaces: [link("eth0", [address("10.0.0.2/24")])],
    tableOf: (name) => (name === null ? 254 : Number(name)),
  });
  assert.deepEqual(desired.vips.map(({ family, address, dev }) => [family, address, dev]), [
    [6, "fd00::1", "eth0"],
    [4, "10.0.0.1", "eth0"],
    [4, "10.0.0.9", "eth0"],
  ]);
  assert.deepEqual(desired.routes.map(({ family, to, src, table }) => [family, to, src, table]), [
    [4, "0.0.0.0/0", "10.0.0.1", 254],
    [6, "2001:db8::/32", "fd00::1", 100],
    [4, "192.168.0.0/16", "10.0.0.9", 254],
  ]);
});

Deno.test("desiredOf() keeps the way to the peer on our own address when a route takes its network", () => {
  const routesOf = (
    routes: readonly Pick<NetworkConfig["routes"][number], "to" | "via">[],
    role: "master" | "slave",
  ): readonly unknown[] =>
    desiredOf([{
      ...NETWORK,
      vips: ["10.0.0.1"],
      routes: routes.map((one) => ({ ...one, src: null, table: null, metric: null })),
    }], {
      role,
      interfaces: [link("eth0", [address("10.0.0.2/24"), address("10.0.0.3/24")])],
      tableOf: () => 254,
    }).routes.map(({ to, via, src }) => [to, via, src]);
  const subnet = { to: "10.0.0.0/24", via: null };
  assert.deepEqual(routesOf([subnet, { to: "10.0.0.0/25", via: null }], "master"), [
    ["10.0.0.3/32", null, "10.0.0.2"],
    ["10.0.0.0/24", null, "10.0.0.1"],
    ["10.0.0.0/25", null, "10.0.0.1"],
  ]);
  assert.deepEqual(routesOf([subnet], "slave")[0], ["10.0.0.2/32", null, "10.0.0.3"]);
  // The kernel's own route to the network goes before these, or they lead elsewhere.
  const others = [{ to: "default", via: "10.0.0.254" }, { to: "10.0.0.0/8", via: "10.0.0.254" }];
  assert.equal(routesOf([...others, { to: "10.0.0.128/25", via: null }], "master").length, 3);
});

Deno.test("labelFor() fits 15 characters and begins with the interface name", () => {
  assert.equal(labelFor("eth0"), "eth0:relais");
  assert.equal(labelFor("enp3s0f0"), "enp3s0f0:relais");
  assert.equal(labelFor("enp65s0f0"), "enp65s0f0:rl");
  assert.equal(labelFor("enp65s0f0np0"), "enp65s0f0np0:rl");
  assert.equal(labelFor("enp65s0f0np0.10"), "enp65s0f0np0:rl");
  fc.assert(fc.property(fc.stringMatching(/^[a-z0-9.]{1,15}$/), (name) => {
    const label = labelFor(name);
    assert.ok(label.length <= 15);
    assert.ok(isOurAddress(address("10.0.0.1/32", { label }), CONTEXT));
  }));
});
