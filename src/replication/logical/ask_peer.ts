/**
 * Asks the other host about the stream.
 *
 * @module
 */

import { z } from "zod";
import { RemoteError, type Transport } from "../transport.ts";
import { streamFactsSchema, targetStateSchema } from "./operations.ts";
import { type PeerFacts, peerWords } from "./peer_facts.ts";
import type { StreamAnswers, StreamRequest } from "./request.ts";

const done = z.object({ done: z.array(z.string().max(2000)).max(1000) });
const ANSWERS: { readonly [Op in keyof StreamAnswers]: z.ZodType<StreamAnswers[Op]> } = {
  note: targetStateSchema,
  facts: streamFactsSchema,
  prepare: done,
  teardown: done,
};

/**
 * Sends one request and reads the answer.
 *
 * @throws {RemoteError} when the peer can't be reached, refuses, fails, or answers nonsense
 */
export async function askPeer<Op extends StreamRequest["op"]>(
  transport: Pick<Transport, "openRemote" | "result">,
  request: Extract<StreamRequest, { op: Op }>,
  options: {
    readonly facts: PeerFacts;
    readonly deadlineMs: number;
    readonly signal?: AbortSignal;
  },
): Promise<StreamAnswers[Op]> {
  const { facts, ...rest } = options;
  const remote = await transport.openRemote(`stream ${peerWords(facts)}`, rest);
  const writer = remote.stdin.getWriter();
  // A peer that refuses does not read: its answer tells.
  await writer.write(new TextEncoder().encode(JSON.stringify(request))).catch(() => {});
  await writer.close().catch(() => {});
  const line = await transport.result(remote);
  const answer = ANSWERS[request.op as Op].safeParse("stream" in line ? line.stream : null);
  if (!answer.success) throw new RemoteError("failed", "Cannot understand the peer's answer");
  return answer.data;
}
