/**
 * `relais receive stream`: what the other host may ask about the stream, and what the receiver of a seed does
 * behind the swap.
 *
 * @module
 */

import { join } from "node:path";
import { messageOf } from "../../os/errors.ts";
import type { ReceiveContext } from "../receive.ts";
import { RefusedError } from "../receive_gate.ts";
import { writeArming } from "./arming.ts";
import { isSlotName, STREAM_APPLICATION } from "./names.ts";
import { type PeerFacts, TUNNEL_USER } from "./peer_facts.ts";
import { MAX_REQUEST_BYTES, type StreamAnswers, streamRequestSchema } from "./request.ts";
import { TUNNEL_DIRECTORY, tunnelConninfo } from "./tunnel.ts";

/** Deadlines in milliseconds. */
const ASK_MS = 60_000;
const SUBSCRIBE_MS = 60_000;

/**
 * Answers one request from standard input.
 *
 * @throws {RefusedError} when it must not be done here
 */
export async function receiveStream(
  peer: PeerFacts,
  context: ReceiveContext,
): Promise<StreamAnswers[keyof StreamAnswers]> {
  const { config, streamDatabase } = context;
  const refuse = (why: string): never => {
    throw new RefusedError(`Cannot serve the stream of the database as ${why}`);
  };
  if (streamDatabase === null) return refuse("no database is configured here");
  if (peer.origin === config.role) {
    return refuse(`the one that asks says that it is the ${peer.origin} and so is this host`);
  }
  if (peer.fingerprint !== config.fingerprint) {
    return refuse("the configurations of the two hosts differ: make relais.toml the same on both");
  }
  const request = streamRequestSchema.parse(JSON.parse(await readAll(context.input())));
  const { localTables, excludeTableData } = config.replication.database!;
  const role = context.tunnelUser ?? TUNNEL_USER;
  const options = { deadlineMs: ASK_MS, signal: context.signal };
  try {
    switch (request.op) {
      case "note": {
        await mustRest(peer, context, refuse);
        await streamDatabase.ask(
          "stream-carry-sequences",
          { sequences: request.sequences },
          options,
        );
        return await streamDatabase.ask("stream-target", {}, options);
      }
      case "facts":
        return await streamDatabase.ask("stream-facts", {
          role,
          localTables,
          excludeTableData,
        }, options);
      case "prepare":
        return {
          done: await streamDatabase.ask("stream-prepare", { role, logical: false }, options),
        };
      case "teardown":
        await writeArming(context.stateDir, { armed: false, seededSchema: null });
        return { done: await streamDatabase.ask("stream-teardown", { role }, options) };
    }
  } finally {
    await streamDatabase.close();
  }
}

/** Sequences are written onto a database that rests, by a master that is not behind us. */
async function mustRest(
  peer: PeerFacts,
  { gate }: ReceiveContext,
  refuse: (why: string) => never,
): Promise<void> {
  const daemon = await gate.whoAmI().catch(() => null);
  if (daemon === null) return refuse("the relais daemon here does not answer");
  if (daemon.serving) refuse(`this host is ${daemon.state}: it serves`);
  if (peer.epoch < daemon.epoch) {
    refuse(`epoch ${peer.epoch} is older than epoch ${daemon.epoch} here: somebody served since`);
  }
}

/**
 * Behind the swap of a seed: begins to follow from where the copy ends.
 *
 * @param slot what the header of the seed names
 * @throws {RefusedError} when it is no slot of ours; what PostgreSQL says
 */
export async function followSeed(
  slot: unknown,
  context: Pick<ReceiveContext, "config" | "streamDatabase" | "runDir" | "signal" | "tunnelUser">,
): Promise<void> {
  if (!isSlotName(slot)) throw new RefusedError("Cannot follow a slot of another name than ours");
  const { config, streamDatabase, runDir, signal, tunnelUser } = context;
  const database = config.replication.database!;
  if (database.mode !== "stream" || streamDatabase === null) {
    throw new RefusedError('Cannot follow a stream as mode is not "stream" here');
  }
  const conninfo = tunnelConninfo({
    directory: join(runDir, TUNNEL_DIRECTORY),
    database: database.name,
    appName: STREAM_APPLICATION,
    ...(tunnelUser === undefined ? {} : { user: tunnelUser }),
  });
  const { synchronous } = database;
  try {
    await streamDatabase.ask("stream-subscribe", { conninfo, slot, synchronous }, {
      deadlineMs: SUBSCRIBE_MS,
      signal,
    });
  } catch (cause) {
    throw new Error(
      `The copy is in place, but the stream behind it does not begin: ${messageOf(cause)}`,
      { cause },
    );
  } finally {
    await streamDatabase.close();
  }
}

async function readAll(input: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const chunk of input) {
    size += chunk.length;
    if (size > MAX_REQUEST_BYTES) throw new RefusedError("Cannot read a request that long");
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
