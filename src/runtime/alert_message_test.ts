import assert from "node:assert/strict";
import type { AlertBatch } from "./alert_ledger.ts";
import { alertEnvironment, alertInput, moveText } from "./alert_message.ts";

const BATCH: AlertBatch = {
  news: new Map([
    ["1", { text: "The witness\n10.0.0.1 is silent", sinceMs: 0, over: false }],
    ["2", { text: "standby → active", sinceMs: 1000, over: true }],
  ]),
  over: new Map([["3", { text: "No cluster key", sinceMs: 500, over: true }]]),
  leftOut: 2,
};
const OCCASION = {
  config: { role: "slave", cluster: { name: "siège", preset: "none" } },
  state: "active",
  epoch: 7,
  atMs: 2000,
} as const;

Deno.test("alertInput() as text: one line for each, which no mail program takes for a header", () => {
  assert.equal(
    alertInput(BATCH, OCCASION, "text"),
    `relais of siège, the slave is active (epoch 7), 1970-01-01T00:00:02.000Z

New:
- The witness 10.0.0.1 is silent (1970-01-01T00:00:00.000Z)
- standby → active (1970-01-01T00:00:01.000Z)

Over:
- No cluster key

2 older ones were left out: see the history (relais status).
`,
  );
});

Deno.test("alertInput() as JSON: one document with all of it, and the text for chat programs", () => {
  assert.deepEqual(JSON.parse(alertInput(BATCH, OCCASION, "json")), {
    cluster: "siège",
    role: "slave",
    state: "active",
    epoch: 7,
    at: "1970-01-01T00:00:02.000Z",
    new: [
      { text: "The witness\n10.0.0.1 is silent", since: "1970-01-01T00:00:00.000Z", over: false },
      { text: "standby → active", since: "1970-01-01T00:00:01.000Z", over: true },
    ],
    over: [{ text: "No cluster key", since: "1970-01-01T00:00:00.500Z", over: true }],
    left_out: 2,
    text: alertInput(BATCH, OCCASION, "text"),
  });
});

Deno.test("alertEnvironment() has the first sentence, bounded and in one line, and how many there are", () => {
  assert.deepEqual(alertEnvironment(BATCH, OCCASION, "/bin"), {
    PATH: "/bin",
    LANG: "C.UTF-8",
    RELAIS_HOOK: "on_alert",
    RELAIS_CLUSTER: "siège",
    RELAIS_ROLE: "slave",
    RELAIS_STATE: "active",
    RELAIS_EPOCH: "7",
    RELAIS_ALERT: "The witness 10.0.0.1 is silent",
    RELAIS_ALERTS_NEW: "2",
    RELAIS_ALERTS_OVER: "1",
  });
});

Deno.test("moveText() tells what touches the service, and nothing of a node at rest", () => {
  const move = { rule: "S-TAKE", why: "the master is dead", detail: "" } as const;
  assert.equal(
    moveText({ ...move, from: "standby", to: "taking-over" }),
    "standby → taking-over (S-TAKE): the master is dead",
  );
  assert.equal(
    moveText({ ...move, from: "active", to: "isolated", detail: "voip" }),
    "active → isolated (S-TAKE): the master is dead (voip)",
  );
  assert.equal(moveText({ ...move, from: "starting", to: "rejoining" }), null);
  assert.equal(moveText({ ...move, from: "standby", to: "maintenance" }), null);
  assert.equal(moveText({ ...move, from: "active", to: "active" }), null);
});
