/**
 * What third parties say: an etcd's answers, what stands in its key, what a fence agent says of itself.
 *
 * @module
 */

import { Gateway } from "../../../src/arbiter/gateway.ts";
import { isMine, readHolder } from "../../../src/arbiter/holder.ts";
import { parseMetadata, unknownParameters } from "../../../src/fencing/metadata.ts";
import { bytesOf, jsonOf, textOf } from "../bytes.ts";
import {
  mustBePlain,
  mustEqual,
  mustHold,
  stateless,
  type Subject,
  type Target,
} from "../target.ts";

const HEADER = { cluster_id: "14841639068965178418", revision: "7", raft_term: "2" };
const HOLDER = { role: "master", host: "10.20.0.11", epoch: 4, instanceId: "5d0c8f5e" };

/** Longest answer of etcd that is read. */
const ANSWER_MAX = 65_536;

const etcdTarget: Target = {
  name: "etcd-answer",
  files: ["arbiter/gateway.ts"],
  weight: 2,
  maxBytes: 70_000,
  json: true,
  corpus: () =>
    [
      { header: HEADER, ID: "7587848", TTL: "6" },
      { result: { header: HEADER, ID: "7587848", TTL: "6" } },
      { header: HEADER, kvs: [{ key: "L3I=", value: btoa(JSON.stringify(HOLDER)), lease: "9" }] },
      { header: HEADER, succeeded: true },
      { version: "3.4.23", leader: "11", header: HEADER },
      { error: "etcdserver: requested lease not found", code: 5 },
    ].map(jsonOf),
  words: ['"kvs":[', '"TTL":', '"raft_term":', '"-1"', "1e400", '"value":"', "\n", "null"],
  open(): Subject {
    let answer: Uint8Array<ArrayBuffer> = new Uint8Array();
    const gateway = new Gateway({
      url: "http://192.0.2.1:2379",
      // Never used: the answers come from here.
      client: {} as Deno.HttpClient,
      user: null,
      fetch: () => Promise.resolve(new Response(answer)),
    });
    const { signal } = new AbortController();
    const value = "{}";
    const expected = null;
    const questions = [
      async (): Promise<void> => {
        const { leaseId, ttlMs } = await gateway.grant(6000, signal);
        mustHold(/^-?\d{1,20}$/.test(leaseId) || Number.isFinite(Number(leaseId)), leaseId);
        mustHold(Number.isFinite(ttlMs), `a lease of ${ttlMs} ms`);
      },
      async (): Promise<void> => {
        const { value: ms, term } = await gateway.keepAlive("7", signal);
        mustHold(Number.isFinite(ms) && ms >= 0, `${ms} ms`);
        mustEqual(typeof term, "string", "the term");
      },
      async (): Promise<void> => {
        const { value: kept, term } = await gateway.read("/relais/a/serve", signal);
        mustEqual(typeof term, "string", "the term");
        mustHold(kept === null || kept.value.length <= ANSWER_MAX, "a value that is too long");
      },
      async (): Promise<void> => {
        const claimed = await gateway.claim({ key: "k", value, leaseId: "7", expected }, signal);
        mustEqual(typeof claimed, "boolean", "whether it was claimed");
      },
      async (): Promise<void> => void await gateway.about(signal),
      async (): Promise<void> => await gateway.revoke("7", signal),
    ];
    return {
      async feed(bytes, random): Promise<boolean> {
        answer = bytes.slice();
        try {
          await random.pick(questions)();
          return true;
        } catch (error) {
          // A refusal is an error with words; a finding, or a mistake of ours, is not.
          const isRefusal = error instanceof Error && error.name !== "Finding" &&
            !(error instanceof TypeError || error instanceof RangeError);
          if (!isRefusal) throw error;
          mustHold(error.message !== "", "a refusal without words");
          return false;
        }
      },
    };
  },
};

const holderTarget = stateless({
  name: "etcd-holder",
  files: ["arbiter/holder.ts"],
  maxBytes: 2000,
  json: true,
  corpus: () => [jsonOf(HOLDER), jsonOf({ ...HOLDER, role: "slave" })],
  words: ['"role":', '"master"', '"epoch":-1', '"__proto__"'],
  feed(bytes): boolean {
    const text = textOf(bytes);
    const holder = readHolder(text);
    mustHold(!(isMine(text, "master") && isMine(text, "slave")), "it is of both");
    if (holder === null) return false;
    mustBePlain(holder);
    mustHold(Number.isSafeInteger(holder.epoch) && holder.epoch >= 0, `epoch ${holder.epoch}`);
    mustEqual(readHolder(JSON.stringify(holder)), holder, "read again");
    return true;
  },
});

const metadataTarget = stateless({
  name: "fence-metadata",
  files: ["fencing/metadata.ts"],
  maxBytes: 8000,
  corpus: () => [
    bytesOf(
      '<resource-agent name="fence_x"><parameters><parameter name="ip" unique="0">' +
        '<content type="string"/></parameter></parameters>' +
        '<actions><action name="on" automatic="0"/><action name="status"/></actions></resource-agent>',
    ),
  ],
  words: ["<parameter ", "<action ", "name=", '"', "'", "<", ">", "]]>", "<!--"],
  feed(bytes): boolean {
    const found = parseMetadata(textOf(bytes));
    if (found === null) return false;
    mustHold(found.parameters.length <= 500 && found.actions.length <= 500, "too many names");
    mustEqual(unknownParameters(found.parameters, found), [], "what it names itself");
    return true;
  },
});

/** All of them. */
export const THIRD_OPINION_TARGETS: readonly Target[] = [
  etcdTarget,
  holderTarget,
  metadataTarget,
];
