/**
 * What `relais <verb>` and `relais receive` ask of the daemon on its own socket. Only root may open it, but
 * `relais receive` passes on what the peer says.
 *
 * @module
 */

import {
  type ControlResult,
  createControlApp,
  FenceRequest,
  OfferedHeader,
  ReceivedResult,
  RefusedRequest,
  ReturnRequest,
} from "../../../src/health/control_app.ts";
import { sampleStatus } from "../../support/health_sample.ts";
import { bytesOf, textOf } from "../bytes.ts";
import { mustBePlain, mustHold, type Subject, type Target } from "../target.ts";

const HEADER = { set: "astdb", epoch: 4, origin: "master", fingerprint: "ab12" };
const REQUESTS: readonly (readonly [string, unknown])[] = [
  ["/command", { command: "switchover" }],
  ["/return", { action: "decide", conflict: "0a1b2c3d", choice: "both" }],
  ["/return", { action: "go" }],
  ["/fence", { action: "confirm" }],
  ["/receive/begin", HEADER],
  ["/receive/end", { set: "files", ok: false, reason: "it broke", bytes: 5, durationMs: 7 }],
  ["/receive/refused", { set: null, reason: "no such verb" }],
  ["/sync", { set: "all", allowMassDeletion: true }],
  ["/announce", {}],
];

const controlTarget: Target = {
  name: "control-request",
  files: ["health/control_app.ts"],
  weight: 1,
  maxBytes: 20_000,
  corpus: () => REQUESTS.map(([path, body]) => bytesOf(`${path}\n${JSON.stringify(body)}`)),
  words: [
    "/command",
    "/sync",
    "/return",
    "/fence",
    "/receive/begin",
    "\n",
    '"set"',
    '"all"',
    "null",
    "{",
    "}",
  ]
    .concat(['"epoch":', '"action":', '"__proto__"', "true", '"reason":""', "/status", "/history"]),
  open(): Subject {
    let failed: Error | null = null;
    const heard: unknown[] = [];
    const yes = (said: unknown): ControlResult => {
      heard.push(said);
      return { ok: true, text: "it is done" };
    };
    const app = createControlApp({
      status: () => sampleStatus(),
      history: () => [],
      command: yes,
      announce: () => yes(null),
      reload: () => Promise.reject(new Error("not asked for")),
      sync: (set, { allowMassDeletion }) => Promise.resolve(yes({ set, allowMassDeletion })),
      returning: (request) => {
        mustHold(ReturnRequest.safeParse(request).success, "a request that nobody checked");
        return Promise.resolve(yes(request));
      },
      fence: (request) => {
        mustHold(FenceRequest.safeParse(request).success, "a request that nobody checked");
        return Promise.resolve({ ...yes(request), power: "unknown" as const });
      },
      receiveBegin: (header) => {
        mustHold(OfferedHeader.safeParse(header).success, "a header that nobody checked");
        return yes(header);
      },
      receiveEnd: (result) => {
        mustHold(ReceivedResult.safeParse(result).success, "a result that nobody checked");
        yes(result);
      },
      receiveRefused: (refused) => {
        mustHold(RefusedRequest.safeParse(refused).success, "a refusal that nobody checked");
        yes(refused);
      },
      onError: (error) => failed = error,
    });
    return {
      async feed(bytes): Promise<boolean> {
        const text = textOf(bytes);
        const at = text.indexOf("\n");
        const path = encodeURI(text.slice(0, Math.max(0, at)).toWellFormed().slice(0, 200));
        if (path.startsWith("/reload")) return false;
        heard.length = 0;
        const response = await app.request(path.startsWith("/") ? path : `/${path}`, {
          method: "POST",
          body: text.slice(at + 1),
        });
        const said = await response.text();
        if (failed !== null) throw failed;
        mustHold(response.status < 500, `status ${response.status}`);
        mustHold(said.length < 100_000, "an answer that is too long");
        for (const value of heard) mustBePlain(value);
        mustHold(response.status === 200 || heard.length === 0, "it was refused and done");
        return heard.length > 0;
      },
    };
  },
};

/** All of them. */
export const CONTROL_TARGETS: readonly Target[] = [controlTarget];
