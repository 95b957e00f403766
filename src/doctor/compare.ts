/**
 * What the facts of two hosts mean for each other. Pure: tools, versions, clocks, trust, telephony, disks.
 *
 * @module
 */

import { compareProofs } from "../heartbeat/key_proof.ts";
import { majorVersion, versionText } from "../replication/database_tools.ts";
import type { DatabaseRights, DiskRoom, Fact, HostFacts } from "../replication/host_facts.ts";
import { failure, good, note, type Said, unchecked, warning } from "./finding.ts";

/** Clocks further apart than this are worth a warning; a registration usually lasts minutes. */
const OFFSET_WARNING_MS = 2_000;
/** Further than this, copied registrations are of no use. */
const OFFSET_FAILURE_MS = 30_000;
const MIB = 1024 * 1024;
/** A file system with less room than this is about to be full. */
const STATE_MIN_BYTES = 100 * MIB;
const FILES_MIN_BYTES = 500 * MIB;
/** What the new database needs beside its own size: WAL and temporary files of the restore. */
const DATABASE_SPARE_BYTES = 256 * MIB;

/** The same version of relais on both hosts. */
export function compareRelais(own: HostFacts, peer: HostFacts): Said {
  return own.version === peer.version
    ? good("versions.relais", `relais ${own.version} on both hosts`)
    : warning("versions.relais", `relais ${own.version} here, ${peer.version} on the other host`);
}

/** The same Asterisk, where there is one. */
export function compareAsterisk(own: HostFacts, peer: HostFacts): readonly Said[] {
  const id = "versions.asterisk";
  return withBoth(id, own.asterisk, peer.asterisk, (here, there) => {
    if (here === null && there === null) return [];
    if (here === null || there === null) {
      const where = here === null ? "here" : "on the other host";
      return [failure(id, `Asterisk is not installed ${where}`, "apt install asterisk, there")];
    }
    if (here === there) return [good(id, `Asterisk ${here} on both hosts`)];
    const text = `Asterisk ${here} here, ${there} on the other host`;
    const major = (version: string): string => version.split(".")[0] ?? "";
    return [major(here) === major(there) ? warning(id, text) : failure(id, text)];
  });
}

/** PostgreSQL: what the master dumps, the slave must be able to restore. */
export function compareDatabase(own: HostFacts, peer: HostFacts): readonly Said[] {
  const id = "versions.database";
  return withBoth(id, own.database, peer.database, (here, there) => {
    if (here === null || there === null) return [];
    const [master, slave] = own.role === "master" ? [here, there] : [there, here];
    const [from, to] = [master, slave].map((each) => each.serverVersionNum) as [number, number];
    if (majorVersion(from) === majorVersion(to)) {
      return [
        good(id, `PostgreSQL ${versionText(from)} on the master, ${versionText(to)} on the slave`),
      ];
    }
    const text = `PostgreSQL ${versionText(from)} on the master, ${versionText(to)} on the slave`;
    return [majorVersion(to) < majorVersion(from) ? failure(id, text) : warning(id, text)];
  });
}

/** How far the clocks are apart. */
export function compareClocks(offsetMs: number): Said {
  const apart = Math.abs(offsetMs);
  const seconds = (apart / 1000).toFixed(1);
  const text = `the other host's clock is ${seconds} s ${offsetMs > 0 ? "ahead" : "behind"}`;
  if (apart >= OFFSET_FAILURE_MS) return failure("clock.offset", text);
  return apart >= OFFSET_WARNING_MS ? warning("clock.offset", text) : good("clock.offset", text);
}

/** Both kernels take their clock for right; the peer's facts may be missing. */
export function judgeSynchronised(own: HostFacts, peer: HostFacts | null): readonly Said[] {
  const id = "clock.synchronised";
  const said = (where: string, fact: Fact<boolean>): Said => {
    if ("error" in fact) return unchecked(id, `${where}: ${fact.error}`);
    return fact.value
      ? good(id, `${where}: synchronised`)
      : warning(id, `${where}: nothing keeps the clock right`);
  };
  return [
    said("this host", own.clockSynchronised),
    ...(peer === null ? [] : [said("the other host", peer.clockSynchronised)]),
  ];
}

/** The same time zone. */
export function compareZones(own: HostFacts, peer: HostFacts): readonly Said[] {
  const id = "clock.zone";
  return withBoth(id, own.timeZone, peer.timeZone, (here, there) => [
    here === there
      ? good(id, `${here} on both hosts`)
      : warning(id, `${here} here, ${there} on the other host`, `timedatectl set-timezone ${here}`),
  ]);
}

/** The same configuration. */
export function compareConfig(own: HostFacts, peer: HostFacts): readonly Said[] {
  const id = "trust.config";
  const roles = own.role === peer.role
    ? [failure(id, `both hosts take themselves for the ${own.role}`)]
    : [];
  const text = `fingerprint ${own.fingerprint.slice(0, 12)} here, ` +
    `${peer.fingerprint.slice(0, 12)} on the other host`;
  return own.fingerprint === peer.fingerprint
    ? [...roles, good(id, "the same configuration on both hosts")]
    : [...roles, failure(id, text)];
}

/** The same cluster key, without ever seeing the other's. */
export function compareKeys(own: HostFacts, peer: HostFacts): readonly Said[] {
  const id = "trust.same_key";
  return withBoth(id, own.keyProofs, peer.keyProofs, (here, there) => {
    switch (compareProofs(here, there)) {
      case "same":
        return [good(id, "both hosts sign with the same key")];
      case "replacing":
        return [note(id, "the hosts sign with different keys and know both: a replacement")];
      case "different":
        return [failure(id, "the hosts have different cluster keys")];
    }
  });
}

/** The same name in asterisk.conf. */
export function compareSystemNames(own: HostFacts, peer: HostFacts): readonly Said[] {
  const id = "telephony.systemname";
  const installed = [own.asterisk, peer.asterisk].some((fact) =>
    "error" in fact || fact.value !== null
  );
  if (!installed) return [];
  const shown = (name: string | null): string => name === null ? "none" : `"${name}"`;
  return withBoth(id, own.systemName, peer.systemName, (here, there) => [
    here === there
      ? good(id, `systemname ${shown(here)} on both hosts`)
      : failure(id, `systemname ${shown(here)} here, ${shown(there)} on the other host`),
  ]);
}

/** The same MTU on each network. */
export function compareMtus(own: HostFacts, peer: HostFacts): readonly Said[] {
  const id = "links.mtu";
  return withBoth(
    id,
    own.links,
    peer.links,
    (here, there) =>
      here.flatMap(({ network, interface: name, mtu }) => {
        const other = there.find((each) => each.network === network);
        if (other === undefined) return [];
        const text = `${network}: ${mtu} on ${name} here, ${other.mtu} on ${other.interface} there`;
        const mend = `ip link set ${name} mtu ${other.mtu}, or the other way round`;
        return [mtu === other.mtu ? good(id, text) : failure(id, text, mend)];
      }),
  );
}

/** What the user of the database may do. */
export function judgeRights(
  id: "database.rights" | "database.peer",
  fact: HostFacts["database"],
): readonly Said[] {
  if ("error" in fact) return [failure(id, fact.error)];
  const rights = fact.value;
  if (rights === null) return [];
  const { role, superuser, createDatabases, liveExists, leftovers } = rights;
  const version = `PostgreSQL ${versionText(rights.serverVersionNum)}`;
  const problems = [
    ...(createDatabases ? [] : [`role ${role} may not create databases`]),
    ...(superuser ? [] : [`role ${role} is no superuser: owners and settings cannot be restored`]),
    ...(liveExists ? [] : ["the configured database does not exist"]),
  ];
  const found = problems.length === 0
    ? good(id, `${version}: ${role} may create and rename databases`)
    : failure(
      id,
      `${version}: ${problems.join("; ")}`,
      superuser ? undefined : `as a superuser: ALTER ROLE "${role}" SUPERUSER`,
    );
  const rest = leftovers.length === 0
    ? []
    : [note(id, `${leftovers.join(", ")}: a copy is in progress, or the next one removes it`)];
  return [found, ...rest];
}

/** `return = "all"`: what the slave's server must be set to. */
export function judgeReturn(fact: HostFacts["database"]): readonly Said[] {
  const id = "database.return";
  if ("error" in fact) return [unchecked(id, fact.error)];
  if (fact.value === null) return [];
  const { walLevel, slotWalMegabytes } = fact.value;
  if (walLevel === undefined) return [unchecked(id, "the slave does not tell its wal_level")];
  if (walLevel !== "logical") {
    return [failure(id, `wal_level of the slave is ${walLevel}, not logical: nothing goes back`)];
  }
  return (slotWalMegabytes ?? -1) < 0
    ? [warning(id, "max_slot_wal_keep_size of the slave is -1: a slot may fill its disk")]
    : [good(id, `wal_level is logical, a slot holds ${slotWalMegabytes} MB of log at most`)];
}

/** Room for a second copy of the database. */
export function judgeDatabaseRoom(
  id: "disk.database" | "disk.peer",
  rights: DatabaseRights,
  largerBytes: number,
): Said {
  const { freeBytes } = rights;
  if (freeBytes === null) return unchecked(id, `${rights.role} may not see where the data are`);
  const needed = largerBytes + DATABASE_SPARE_BYTES;
  const text = `${mib(freeBytes)} free for the database, a copy needs ${mib(needed)}`;
  return freeBytes < needed ? failure(id, text) : good(id, text);
}

/** Room for state and files; a file system that is named several times is told once. */
export function judgeDisks(
  disks: readonly DiskRoom[],
  idOf: (what: DiskRoom["what"]) => "disk.state" | "disk.files" | "disk.peer",
): readonly Said[] {
  const told = new Set<string>();
  return disks.flatMap(({ what, path, freeBytes, totalBytes }) => {
    const key = `${what} ${freeBytes} ${totalBytes}`;
    if (told.has(key)) return [];
    told.add(key);
    const text = `${path}: ${mib(freeBytes)} free of ${mib(totalBytes)}`;
    const least = what === "state" ? STATE_MIN_BYTES : FILES_MIN_BYTES;
    // On a small file system of its own a tenth is enough.
    const wanted = Math.min(least, totalBytes / 10);
    const id = idOf(what);
    if (freeBytes < wanted / 10) return [failure(id, text)];
    return [freeBytes < wanted ? warning(id, text) : good(id, text)];
  });
}

function withBoth<T>(
  id: Said["id"],
  own: Fact<T>,
  peer: Fact<T>,
  judge: (own: T, peer: T) => readonly Said[],
): readonly Said[] {
  if ("error" in own) return [unchecked(id, `this host: ${own.error}`)];
  if ("error" in peer) return [unchecked(id, `the other host: ${peer.error}`)];
  return judge(own.value, peer.value);
}

function mib(bytes: number): string {
  return `${Math.floor(bytes / MIB)} MiB`;
}
