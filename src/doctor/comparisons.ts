/**
 * The checks that compare this host with the other one, or judge its own facts.
 *
 * @module
 */

import { messageOf } from "../os/errors.ts";
import type { HostFacts } from "../replication/host_facts.ts";
import {
  compareAsterisk,
  compareClocks,
  compareConfig,
  compareDatabase,
  compareKeys,
  compareMtus,
  compareRelais,
  compareSystemNames,
  compareZones,
  judgeDatabaseRoom,
  judgeDisks,
  judgeReturn,
  judgeRights,
  judgeSynchronised,
} from "./compare.ts";
import { type Check, good, type Said, unchecked, warning } from "./finding.ts";
import { type Patient, valueOf } from "./patient.ts";

type Compare = (own: HostFacts, peer: HostFacts) => Said | readonly Said[];

/** See the module. */
export function comparisonChecks(patient: Patient): readonly Check[] {
  const compare = (id: Said["id"], judge: Compare): Check => ({
    ids: [id],
    look: async () => {
      // A cluster without copies has no way to ask; the daemons compare what they need by themselves.
      if (!patient.usesSsh) return [];
      const [own, { facts }] = await Promise.all([patient.own(), patient.peer()]);
      return [judge(own, facts)].flat();
    },
  });
  return [
    compare("versions.relais", compareRelais),
    compare("versions.asterisk", compareAsterisk),
    compare("versions.database", compareDatabase),
    compare("clock.zone", compareZones),
    compare("trust.config", compareConfig),
    compare("trust.same_key", compareKeys),
    compare("telephony.systemname", compareSystemNames),
    compare("links.mtu", compareMtus),
    compare("database.peer", (_, peer) => judgeRights("database.peer", peer.database)),
    compare("disk.peer", judgePeerDisks),
    {
      ids: ["clock.offset"],
      look: async () => patient.usesSsh ? [compareClocks((await patient.peer()).offsetMs)] : [],
    },
    {
      ids: ["clock.synchronised"],
      look: async () => {
        const own = await patient.own();
        if (!patient.usesSsh) return judgeSynchronised(own, null);
        try {
          return judgeSynchronised(own, (await patient.peer()).facts);
        } catch (error) {
          const why = `the other host: ${messageOf(error)}`;
          return [...judgeSynchronised(own, null), unchecked("clock.synchronised", why)];
        }
      },
    },
    {
      ids: ["database.rights"],
      look: async () => judgeRights("database.rights", (await patient.own()).database),
    },
    { ids: ["database.return"], look: () => lookAtReturn(patient) },
    { ids: ["disk.state", "disk.files"], look: () => lookAtDisks(patient) },
    { ids: ["disk.database"], look: () => lookAtDatabaseRoom(patient) },
    { ids: ["tools.installed"], look: () => lookAtTools(patient) },
  ];
}

/** The slave's PostgreSQL, whichever host this is. */
async function lookAtReturn(patient: Patient): Promise<readonly Said[]> {
  const { config } = patient;
  if (config.replication.database?.returnMode !== "all") return [];
  if (config.role === "slave") return judgeReturn((await patient.own()).database);
  return patient.usesSsh ? judgeReturn((await patient.peer()).facts.database) : [];
}

async function lookAtDisks(patient: Patient): Promise<readonly Said[]> {
  const disks = valueOf((await patient.own()).disks);
  return judgeDisks(disks, (what) => what === "state" ? "disk.state" : "disk.files");
}

/** The master's database comes here: the larger of the two counts. */
async function lookAtDatabaseRoom(patient: Patient): Promise<readonly Said[]> {
  const own = await patient.own();
  if ("error" in own.database) return [unchecked("disk.database", own.database.error)];
  const rights = own.database.value;
  if (rights === null) return [];
  const peer = await patient.peer().then(({ facts }) => facts, () => null);
  return [judgeDatabaseRoom("disk.database", rights, largest(own, peer))];
}

function judgePeerDisks(own: HostFacts, peer: HostFacts): readonly Said[] {
  const id = "disk.peer";
  const disks = "error" in peer.disks
    ? [unchecked(id, peer.disks.error)]
    : judgeDisks(peer.disks.value, () => id);
  if ("error" in peer.database || peer.database.value === null) return disks;
  return [...disks, judgeDatabaseRoom(id, peer.database.value, largest(own, peer))];
}

function largest(...hosts: readonly (HostFacts | null)[]): number {
  return Math.max(
    ...hosts.map((host) =>
      host === null || "error" in host.database ? 0 : host.database.value?.databaseBytes ?? 0
    ),
  );
}

async function lookAtTools(patient: Patient): Promise<readonly Said[]> {
  const id = "tools.installed";
  const missing = valueOf((await patient.own()).missingTools);
  const here = missing.map((text): Said => ({
    id,
    severity: "failure",
    found: text,
    mend: /run: (.*)$/.exec(text)?.[1] ?? "install it",
  }));
  const there = await patient.peer().then(({ facts }) => valueOf(facts.missingTools)).catch(
    (error: unknown): readonly string[] | string => messageOf(error),
  );
  // That the peer tells nothing is said elsewhere.
  const other = typeof there === "string"
    ? []
    : there.map((text) => warning(id, `on the other host: ${text}`, "apt install it there"));
  const found = [...here, ...other];
  return found.length > 0 ? found : [good(id, "every tool that this configuration needs")];
}
