/**
 * What must be right before a dump is restored and before the restored database goes live: pure
 * comparisons.
 *
 * @module
 */

import { isDeepStrictEqual } from "node:util";
import type { DatabaseProperties, Manifest } from "./database_manifest.ts";
import type { Inspection, InstallFacts } from "./database_protocol.ts";
import { majorVersion, versionText } from "./database_tools.ts";

/** Most differences that an error names. */
const MAX_NAMED = 5;

/** A restored database is somewhat larger than the original while it is being restored. */
const RESTORE_GROWTH = 1.2;

const MIB = 1024 * 1024;

/** Why a dump cannot be restored on this host, each with what to do; empty when it can. */
export function preflightProblems(manifest: Manifest, facts: InstallFacts): string[] {
  const problems: string[] = [];
  if (majorVersion(facts.serverVersionNum) < majorVersion(manifest.serverVersionNum)) {
    problems.push(
      `this host has PostgreSQL ${versionText(facts.serverVersionNum)}, older than the dump's ` +
        `${versionText(manifest.serverVersionNum)}: upgrade it`,
    );
  }
  if (facts.missingRoles.length > 0) {
    problems.push(`roles are missing here: createuser ${facts.missingRoles.join(" ")}`);
  }
  if (facts.missingExtensions.length > 0) {
    problems.push(
      `extensions are missing here: ${facts.missingExtensions.join(", ")} ` +
        `(install postgresql-contrib or their packages)`,
    );
  }
  if (facts.holders.length > 0) {
    problems.push(`the standby database is held by ${facts.holders.join(", ")}: drop that first`);
  }
  // Beside the old database: the new one and the log that is written for it.
  const walBytes = Math.min(facts.maxWalBytes, manifest.databaseBytes);
  const neededBytes = Math.ceil(manifest.databaseBytes * RESTORE_GROWTH) + walBytes;
  if (facts.freeBytes < neededBytes) {
    problems.push(
      `the disk of the database has ${Math.floor(facts.freeBytes / MIB)} MiB free and ` +
        `${Math.ceil(neededBytes / MIB)} MiB are needed`,
    );
  }
  return problems;
}

/**
 * What differs between the source, as its dump describes it, and the restored copy; empty when equal.
 * Between two major versions only the names of the objects and the tables themselves are compared: how
 * PostgreSQL describes the rest may change.
 */
export function copyDifferences(
  manifest: Manifest,
  copy: Inspection,
  options: { readonly sameMajor: boolean },
): string[] {
  const rows = differences(manifest.rows, copy.rows).map(([name, sent, got]) =>
    `${name} has ${got ?? "no"} rows instead of ${sent ?? "not existing"}`
  );
  const large = manifest.largeObjects === copy.largeObjects
    ? []
    : [`${copy.largeObjects} large objects instead of ${manifest.largeObjects}`];
  const objects = differences(manifest.schema, copy.schema).flatMap(([name, sent, got]) => {
    if (sent === undefined) return [`${name} is too much`];
    if (got === undefined) return [`${name} is missing`];
    return options.sameMajor || name.startsWith("table ") ? [`${name} differs`] : [];
  });
  return shortened([...rows, ...large, ...objects]);
}

/** Names the properties that the new database did not get. */
export function propertyDifferences(
  wanted: DatabaseProperties,
  got: DatabaseProperties,
): string[] {
  const [a, b] = [sorted(wanted), sorted(got)];
  return Object.keys(a)
    .filter((key) => !isDeepStrictEqual(Reflect.get(a, key), Reflect.get(b, key)))
    .map((key) => `${key} of the database differs`);
}

/** In an order that does not depend on the collation of the database that answered. */
function sorted(properties: DatabaseProperties): DatabaseProperties {
  const byText = (a: unknown, b: unknown): number => {
    const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
    return left < right ? -1 : left > right ? 1 : 0;
  };
  const plain = (value: object): [string, unknown][] => Object.entries(value).sort(byText);
  return {
    ...properties,
    settings: properties.settings.toSorted(byText),
    grants: properties.grants?.map((grant) => Object.fromEntries(plain(grant)) as typeof grant)
      .toSorted(byText) ?? null,
  };
}

type Difference<T> = readonly [name: string, sent: T | undefined, got: T | undefined];

function differences<T>(
  sent: Readonly<Record<string, T>>,
  got: Readonly<Record<string, T>>,
): Difference<T>[] {
  const names = new Set([...Object.keys(sent), ...Object.keys(got)]);
  return [...names].filter((name) => sent[name] !== got[name])
    .map((name) => [name, sent[name], got[name]]);
}

function shortened(found: readonly string[]): string[] {
  if (found.length <= MAX_NAMED) return [...found];
  return [...found.slice(0, MAX_NAMED), `and ${found.length - MAX_NAMED} more`];
}
