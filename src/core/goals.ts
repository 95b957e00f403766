/**
 * The goals as data: which steps, in which order, with which deadline, and what undoes them
 * (DESIGN section 5). `src/runtime/steps.ts` performs them; the simulation runs the same lists.
 *
 * @module
 */

import type { FencingMode, GoalName } from "./types.ts";

/** Every step that a goal may contain. */
export type StepName =
  | "fence-peer"
  | "acquire-right"
  | "persist-epoch"
  | "check-transport"
  | "drop-vips"
  | "mount-vips"
  | "announce"
  | "raise-shield"
  | "lower-shield"
  | "flush-conntrack"
  | "open-gate"
  | "close-gate"
  | "start-services"
  | "stop-services"
  | "check-health"
  | "fetch-astdb"
  | "install-astdb"
  | "ready-database"
  | "send-astdb"
  | "send-files"
  | "return-database"
  | "release-right"
  | "tell-yours"
  | "hooks-before-takeover"
  | "hooks-after-takeover"
  | "hooks-before-handback"
  | "hooks-after-handback";

/** What varies within a goal. */
export interface GoalOptions {
  /** `take`, `join`: ask the peer for a newer astdb before services start (M4). */
  readonly fetch: boolean;
  /** `hand-over`: this node cannot stay (it stops, or it is ill): go also if data cannot travel. */
  readonly urgent: boolean;
  /** `take`: switch the peer off before anything else; null or absent: not. */
  readonly fence?: FencingMode | null;
}

/** One step of a goal. */
export interface StepSpec {
  readonly name: StepName;
  /** What happens when it fails: the goal fails, or the history notes it and the next step runs. */
  readonly onFailure: "fail" | "go-on";
  /** Why it stands at this place. */
  readonly why: string;
  /** The goal counts as done before this step (and those behind it): nobody waits for it. */
  readonly afterDone?: true;
}

/**
 * The ordered steps of a goal.
 *
 * `take` mounts before it installs and starts (DESIGN section 5 had the data first): the VIP answers a few
 * milliseconds after the decision, and installing an astdb is local work that phones do not see. Services
 * start last, so that they bind and answer on an address that is there. See docs/design/steps.md.
 *
 * The shield is up while services start or stop under a VIP that phones call: in `take` and `hand-over`. Not
 * in `join` (the VIPs are gone, and who calls the host itself shall hear a refusal and try the other one)
 * nor in `repair` (what still runs answers; half a telephone system is better than none).
 *
 * The gate closes before the services stop, so that what watches them (`Restart=`, cron, monit) can't start
 * one again between its end and the closing: data would travel that is not at rest.
 *
 * `hand-over` proves the transport before it stops anything, so that a broken ssh costs no call; when the
 * node must go anyway (`urgent`), data that cannot travel stays here and the history says so.
 */
export function goalSteps(goal: GoalName, options: GoalOptions): readonly StepSpec[] {
  switch (goal) {
    case "join":
      return [
        step("drop-vips", "fail", "a node that does not serve holds no VIP"),
        step("close-gate", "go-on", "nothing but relais starts them from here on"),
        step("stop-services", "fail", "B2: services are stopped on the node that does not serve"),
        ...(options.fetch ? [step("fetch-astdb", "go-on", "M4: before services can start")] : []),
      ];
    case "take":
      return [
        step(
          "acquire-right",
          "fail",
          "where an arbiter gives it: nothing is mounted or started without the right to serve",
        ),
        ...fencing(options.fence ?? null),
        step("raise-shield", "go-on", "phones that find the VIP before the services wait"),
        step("mount-vips", "fail", "M1, S1: the address first, phones wait for milliseconds only"),
        step("announce", "go-on", "M1, S1: ARP and ND tables of the network; repeated in a burst"),
        // A full disk must not silence the telephones: the runtime goes on trying to persist it.
        step(
          "persist-epoch",
          "go-on",
          "before anything is served: no older data set may be accepted afterwards; the disk may take its time",
        ),
        ...(options.fetch
          ? [step("fetch-astdb", "go-on", "M4: the peer may hold newer data")]
          : []),
        step("install-astdb", "go-on", "M3: before services read it; refused while they run"),
        step(
          "ready-database",
          "go-on",
          "before services write: the stream ends, sequences are raised",
        ),
        step("hooks-before-takeover", "go-on", "the VIPs answer already, the services do not yet"),
        step("open-gate", "go-on", "relais may start the services now"),
        step("start-services", "fail", "S1, B3"),
        step("check-health", "fail", "a service that runs and does not answer is not a telephone"),
        step("lower-shield", "go-on", "the services answer: let the phones in"),
        step("flush-conntrack", "go-on", "UDP flows that are pinned to where the VIP was before"),
        step("announce", "go-on", "some equipment ignored the first burst"),
        afterwards("hooks-after-takeover", "the node is active: they cost no telephony"),
      ];
    case "hand-over":
      return [
        ...(options.urgent ? [] : [
          step("check-transport", "fail", "before anything stops: would the data reach the peer?"),
        ]),
        step("hooks-before-handback", "go-on", "the last moment at which the telephones work here"),
        step("raise-shield", "go-on", "phones wait from here on, and are not refused"),
        step("close-gate", "go-on", "nothing but relais starts them from here on"),
        step("stop-services", "fail", "S2: the data comes to rest before it travels"),
        step(
          "send-astdb",
          options.urgent ? "go-on" : "fail",
          "M4: registrations made here stay callable there",
        ),
        step(
          "send-files",
          "go-on",
          "L2: voicemail left here must not be lost; it stays here if it fails",
        ),
        step(
          "return-database",
          options.urgent ? "go-on" : "fail",
          "what the slave's database gained; policy decides whether the service goes without it",
        ),
        step("drop-vips", "fail", "never two holders: gone here before the word is given"),
        step(
          "release-right",
          "go-on",
          "the VIPs are gone: the peer need not wait for the end of the lease",
        ),
        step(
          "tell-yours",
          "fail",
          "the peer mounts at once on that word, not after a ping times out",
        ),
        step("lower-shield", "go-on", "no phone finds the VIP here any more"),
        afterwards("hooks-after-handback", "the peer has the service: they cost no telephony"),
      ];
    case "repair":
      return [
        step("open-gate", "go-on", "relais may start the services now"),
        step("start-services", "fail", "nobody else can serve: try again in place"),
        step("check-health", "fail", "a service that runs and does not answer is not a telephone"),
      ];
  }
}

/** Steps of `take` after whose failure a node that is alone serves with what it has. */
export const STEPS_THAT_MAY_FAIL_ALONE: readonly string[] = ["start-services", "check-health"];

/** Steps of `hand-over` after whose failure the VIPs are gone already: there is no way back to active. */
export const STEPS_AFTER_LETTING_GO: readonly string[] = ["drop-vips", "tell-yours"];

/** Where nobody may fail it, nothing of the goal happens before the peer is off for certain. */
function fencing(mode: FencingMode | null): readonly StepSpec[] {
  if (mode === null) return [];
  const why =
    "before anything that a telephone or the data could notice: its silence is proof then";
  return [step("fence-peer", mode === "required" ? "fail" : "go-on", why)];
}

/** A step behind the end of its goal. */
function afterwards(name: StepName, why: string): StepSpec {
  return { name, onFailure: "go-on", why, afterDone: true };
}

function step(name: StepName, onFailure: StepSpec["onFailure"], why: string): StepSpec {
  return { name, onFailure, why };
}
