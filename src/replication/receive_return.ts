/**
 * `return list` and `return apply`: the master's side of the way back of files (docs/design/data.md).
 *
 * @module
 */

import { chown } from "node:fs/promises";
import { join } from "node:path";
import { pathKind } from "./file_list.ts";
import { KeptFolder } from "./kept_folder.ts";
import { askGate, RefusedError, underPermission } from "./receive_gate.ts";
import { underLock } from "./receive_lock.ts";
import { checkPlace } from "./receive_rsync.ts";
import type { ReceiveContext } from "./receive.ts";
import type { PutResult } from "./remote_protocol.ts";
import { applyReturn, type ReturnOutcome } from "./return_apply.ts";
import { rowsOf } from "./return_base.ts";
import {
  jsonPayload,
  readJson,
  type ReturnLists,
  type ReturnOrder,
  returnOrderSchema,
  returnPathsOf,
  sentenceOf,
} from "./return_protocol.ts";
import type { SetHeader } from "./set_header.ts";
import { readSetStream, writeSetStream } from "./stream.ts";
import { STAGING_NAME } from "./rsync_arguments.ts";
import { listTree } from "./tree_list.ts";

/** Writes the lists of this host's `return_paths` to standard output. */
export async function giveReturnLists(context: ReceiveContext): Promise<void> {
  const { config, clock, signal } = context;
  const { files } = config.replication;
  if (files === null) throw new RefusedError("Cannot list files as none are configured here");
  const lists: ReturnLists = [];
  for (const path of returnPathsOf(files)) {
    const kind = await pathKind(path);
    if (kind === "other") lists.push({ path, kind, rows: [] });
    else lists.push({ path, kind, rows: rowsOf((await listTree(path, signal)).tree) });
  }
  const sink = new WritableStream<Uint8Array>({ write: (chunk) => context.write(chunk) });
  const self = await context.gate.whoAmI().catch(() => null);
  await writeSetStream(
    sink,
    {
      version: 1,
      set: "files",
      epoch: self?.epoch ?? 0,
      origin: config.role,
      snapshotWallMs: Math.floor(clock.wallMs()),
      fingerprint: config.fingerprint,
      detail: { what: "return-list" },
    },
    jsonPayload(lists),
    { clock, signal },
  );
}

/** Takes the plan on standard input and carries it out. */
export async function receiveReturn(context: ReceiveContext): Promise<PutResult> {
  const { clock, gate, signal } = context;
  const incoming = await readSetStream(context.input(), { clock, idleMs: 120_000, signal });
  const { header } = incoming;
  try {
    checkPlanHeader(header, context);
  } catch (cause) {
    await incoming.payload.cancel(cause).catch(() => {}); // The refusal is what counts.
    throw cause;
  }
  return await underLock("files", context, async () => {
    const work = async (
      signal: AbortSignal,
    ): Promise<{ readonly result: PutResult; readonly bytes: number; readonly note: string }> => {
      const order = returnOrderSchema.parse(await readJson(incoming));
      await askGate(gate, "confirm", header);
      const result = await carryOut(order, { ...context, signal });
      return { result, bytes: 0, note: sentenceOf(result.detail) };
    };
    return (await underPermission({ gate, header, clock, signal }, work)).result;
  });
}

function checkPlanHeader(header: SetHeader, { config }: ReceiveContext): void {
  const refuse = (why: string): never => {
    throw new RefusedError(`Cannot bring files back here as ${why}`);
  };
  if (header.set !== "files" || header.detail["what"] !== "return-plan") refuse("that is no plan");
  if (config.replication.files === null) refuse("no files are configured here");
  if (header.origin !== "slave" || config.role !== "master") {
    refuse(`they only come from the slave to the master: this host is the ${config.role}`);
  }
  if (header.fingerprint !== config.fingerprint) {
    refuse("the configurations of the two hosts differ: make relais.toml the same on both");
  }
}

async function carryOut(order: ReturnOrder, context: ReceiveContext): Promise<PutResult> {
  const { config, stateDir, clock, signal } = context;
  const declared = returnPathsOf(config.replication.files!);
  const kept = new KeptFolder(stateDir, "returned", clock.wallMs());
  const outcomes: (ReturnOutcome & { readonly path: string })[] = [];
  for (const { path, ...plan } of order) {
    if (!declared.includes(path)) {
      throw new RefusedError(`Cannot write ${path} as it is not in replication.files.return_paths`);
    }
    await checkPlace({ path, isDirectory: true });
    await adoptOwner(path);
    outcomes.push({ path, ...await applyReturn({ path, plan, kept, signal }) });
  }
  const conflicts = outcomes.flatMap(({ path, conflicts }) =>
    conflicts.map(({ name, ...rest }) => ({ path: join(path, name), ...rest }))
  );
  if (conflicts.length > 0) {
    await kept.note("conflicts.json", JSON.stringify(conflicts, null, 2) + "\n");
  }
  const sum = (of: (outcome: ReturnOutcome) => number): number =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  return {
    size: 0,
    sha256: "0".repeat(64),
    detail: {
      put: sum(({ put }) => put),
      deleted: sum(({ deleted }) => deleted),
      conflicts: conflicts.length,
      kept: kept.isUsed ? kept.directory : "",
      ...Object.fromEntries(
        conflicts.slice(0, 5).map(({ path, what }, at) => [
          `conflict${at}`,
          `${path}: ${what}`.slice(0, 500),
        ]),
      ),
    },
  };
}

/** A directory that only the stand-in had so far gets the owner and mode it has there. */
async function adoptOwner(path: string): Promise<void> {
  const [own, model] = await Promise.all(
    [path, join(path, STAGING_NAME)].map((place) => Deno.lstat(place).catch(() => null)),
  );
  const entries = own === null ? [] : [...Deno.readDirSync(path)];
  const isNew = entries.length === 1 && entries[0]!.name === STAGING_NAME;
  if (!isNew || model === null || model === undefined) return;
  await chown(path, model.uid!, model.gid!);
  await Deno.chmod(path, model.mode! & 0o7777);
}
