import assert from "node:assert/strict";
import { parseConfig } from "../config/load.ts";
import { decide, type Flags } from "./decide.ts";
import { MissingFactsError, NoAnswerError } from "./questions.ts";
import { type Draft, renderConfig } from "./draft.ts";
import type { Found } from "./found.ts";
import { wordsFor } from "./words.ts";

const FOUND: Found = {
  hostName: "siege-master.example.org",
  networks: [
    { interface: "eth0", address: "10.20.0.11", prefix: 24 },
    { interface: "eth1", address: "10.30.0.11", prefix: 25 },
  ],
  gateways: ["10.20.0.254"],
  product: "none",
  asterisk: true,
  postgresql: false,
  ha: null,
};

function flags(changes: Partial<Record<keyof Flags, string | Record<string, string>>> = {}): Flags {
  const map = (key: keyof Flags): ReadonlyMap<string, string> =>
    new Map(Object.entries(changes[key] ?? {}));
  const text = (key: keyof Flags): string | null => (changes[key] as string | undefined) ?? null;
  return {
    name: text("name"),
    preset: text("preset"),
    database: text("database"),
    master: map("master"),
    slave: map("slave"),
    prefix: map("prefix"),
    vip: map("vip"),
    gateway: map("gateway"),
    interface: map("interface"),
  };
}

async function decided(typed: Flags, found = FOUND): Promise<Draft> {
  return await decide({ flags: typed, found, words: wordsFor("C"), dialogue: null });
}

Deno.test("decide() needs no more than the other host's address: the rest is found", async () => {
  const draft = await decided(flags({ slave: { voip: "10.20.0.12", data: "10.30.0.12" } }));
  assert.equal(draft.cluster, "siege");
  const none = { vip: null, interface: null };
  assert.deepEqual(draft.networks, [
    {
      name: "voip",
      master: "10.20.0.11",
      slave: "10.20.0.12",
      prefix: "24",
      gateway: "10.20.0.254",
      ...none,
    },
    {
      name: "data",
      master: "10.30.0.11",
      slave: "10.30.0.12",
      prefix: "25",
      gateway: null,
      ...none,
    },
  ]);
  const other = await decided(flags({ master: { voip: "10.20.0.12" }, gateway: { voip: "-" } }));
  const { master, slave, gateway } = other.networks[0]!;
  assert.deepEqual([master, slave, gateway], ["10.20.0.12", "10.20.0.11", null]);
});

Deno.test("decide() takes everything from flags for hosts that it does not know", async () => {
  const typed = { master: { a: "10.9.0.1" }, slave: { a: "10.9.0.2" }, prefix: { a: "24" } };
  const [network] = (await decided(flags(typed))).networks;
  assert.deepEqual([network?.master, network?.slave, network?.gateway], [
    "10.9.0.1",
    "10.9.0.2",
    null,
  ]);
});

Deno.test("decide() suggests role and peer of the product's own high availability", async () => {
  const ha = { role: "slave", peer: "10.20.0.10" } as const;
  const found = { ...FOUND, ha, product: "xivo" } as const;
  const draft = await decided(flags({ vip: { voip: "10.20.0.9" } }), found);
  assert.equal(draft.preset, "xivo");
  assert.deepEqual([draft.networks[0]?.master, draft.networks[0]?.slave], [
    "10.20.0.10",
    "10.20.0.11",
  ]);
});

Deno.test("decide() names every missing fact with its flag at once", async () => {
  const typed = flags({ vip: { voip: "10.20.0.10", x: "10.99.0.10" } });
  await assert.rejects(decided(typed), (error: unknown) => {
    assert.ok(error instanceof MissingFactsError);
    const said = [
      "--slave voip=ADDRESS",
      "--master x=ADDRESS",
      "--slave x=ADDRESS",
      "--prefix x=LENGTH",
    ];
    assert.ok(error.message.endsWith(`: ${said.join(", ")}`), error.message);
    return true;
  });
});

Deno.test("decide() gives up when no answer makes sense, and when the input ends", async () => {
  let asked = 0;
  const dialogue = (
    answer: string | null,
  ): { ask(): Promise<string | null>; say(): Promise<void> } => ({
    ask: () => {
      asked++;
      return Promise.resolve(answer);
    },
    say: () => Promise.resolve(),
  });
  const words = wordsFor("fr_FR.UTF-8");
  const options = { flags: flags(), found: FOUND, words };
  await assert.rejects(decide({ ...options, dialogue: dialogue("!") }), NoAnswerError);
  assert.ok(asked < 20, "it does not ask for ever");
  await assert.rejects(decide({ ...options, dialogue: dialogue(null) }), NoAnswerError);
});

Deno.test("renderConfig() writes what the real reader understands, for every product", () => {
  const network = {
    name: "voip",
    master: "fd20::11",
    slave: "fd20::12",
    prefix: "64",
    vip: "fd20::10",
    gateway: "fd20::254",
    interface: "eth0",
  };
  for (const preset of ["xivo", "wazo", "none"]) {
    for (const asterisk of [true, false]) {
      for (const vip of ["fd20::10", null]) {
        for (const database of preset === "none" && asterisk ? ["pbx", null] : [null]) {
          const networks = [{ ...network, vip }];
          const text = renderConfig({ cluster: "siège 2", preset, networks, asterisk, database });
          const config = parseConfig(text);
          assert.equal(config.cluster.name, "siège 2");
          assert.deepEqual(config.networks[0]?.vips, vip === null ? [] : [vip]);
          assert.deepEqual(config.networks[0]?.witnesses, ["fd20::254"]);
          assert.equal(config.networks[0]?.interface, "eth0");
          assert.equal(
            config.services.units.includes("asterisk.service"),
            preset !== "none" || asterisk,
          );
          assert.equal(config.replication.astdb !== null, preset !== "none" || asterisk);
          assert.equal(
            config.replication.database?.name ?? null,
            preset === "none" ? database : "asterisk",
          );
        }
      }
    }
  }
});

Deno.test("renderConfig() cannot be talked into keys of its own", () => {
  const evil = 'x"\nmode = "manual';
  const draft = { cluster: evil, preset: "none", networks: [], asterisk: false, database: null };
  assert.ok(!renderConfig(draft).split("\n").includes('mode = "manual"'));
});
