/**
 * Replaces the cluster key on both hosts without a moment in which one signs with a key that the other does
 * not accept. In every state of the table each host signs with a key that the other one accepts, so that it
 * may stop anywhere, for any time, and be taken up again on the host where it was begun:
 *
 * | this host          | the other host     | next step                              |
 * |--------------------|--------------------|----------------------------------------|
 * | old                | old                | accept the new key here                |
 * | old, accepts new   | old                | accept it there                        |
 * | old, accepts new   | old, accepts new   | sign with it here                      |
 * | new, accepts old   | old, accepts new   | sign with it there                     |
 * | new, accepts old   | new, accepts old   | forget the old one there               |
 * | new, accepts old   | new                | forget it here                         |
 * | new                | new                | done                                   |
 *
 * @module
 */

import { messageOf } from "../os/errors.ts";
import type { KeyOrder, KeyState } from "./key_protocol.ts";

/** More steps than a replacement has. */
const STEPS_MAX = 12;

/** A host whose keys are replaced. */
export interface KeyHost {
  /** Does what is asked, idempotent. @throws {Error} in words */
  do(order: KeyOrder): Promise<KeyState>;
}

/** One step. */
export interface RotationStep {
  readonly on: "here" | "there";
  readonly order: Exclude<KeyOrder, { do: "look" }>;
  /** What holds after it, as a sentence. */
  readonly text: string;
}

/** What {@linkcode nextStep} may say. */
export type Next = RotationStep | "done";

/**
 * The next step, from what both hosts have. Pure.
 *
 * @throws {Error} in words, when no step leads on from there
 */
export function nextStep(here: KeyState, there: KeyState, key: string | null): Next {
  const [first = ""] = here.current;
  const accepted = (host: KeyState): readonly string[] => [
    ...host.current,
    ...(host.next === null ? [] : [host.next]),
  ];
  if (!accepted(there).includes(first) || !accepted(here).includes(there.current[0] ?? "")) {
    throw new Error("the hosts do not have the same key: relais pair --force makes them equal");
  }
  if (here.next !== null) {
    if (accepted(there).includes(here.next)) {
      return step("here", { do: "promote", id: here.next }, "this host signs with the new key");
    }
    if (there.next !== null) {
      throw new Error(
        "each host has begun a replacement: take one of them back with relais keygen --finish, then repeat",
      );
    }
    if (key === null) throw new Error("the new key cannot be read on this host");
    return step("there", { do: "offer", key }, "both hosts accept the new key");
  }
  if (there.current[0] !== first) {
    return step("there", { do: "promote", id: first }, "both hosts sign with the new key");
  }
  if (there.next !== null) {
    throw new Error(
      "the other host has begun a replacement: finish it there, with relais keygen --rotate",
    );
  }
  if (there.current.length > 1) {
    return step("there", { do: "finish", id: first }, "the other host has forgotten the old key");
  }
  if (here.current.length > 1) {
    return step("here", { do: "finish", id: first }, "both hosts have forgotten the old key");
  }
  return "done";
}

function step(
  on: RotationStep["on"],
  order: RotationStep["order"],
  text: string,
): RotationStep {
  return { on, order, text };
}

/** What {@linkcode rotate} works with. */
export interface RotateOptions {
  readonly here: KeyHost & { readonly withdraw: () => Promise<KeyState> };
  readonly there: KeyHost;
  /** A new key, base64. */
  readonly makeKey: () => string;
  /** The key that is to follow, as it is on this host. */
  readonly readNext: () => string | null;
  /** Hears what holds after each step. */
  readonly onStep: (text: string) => void;
}

/** How it ended. */
export interface Rotated {
  /** Name of the key that both hosts have now. */
  readonly id: string;
  /** Taken up again, not begun. */
  readonly resumed: boolean;
}

/**
 * Replaces the key, or goes on with a replacement that was cut off.
 *
 * @throws {Error} what happened, and what holds now
 */
export async function rotate(options: RotateOptions): Promise<Rotated> {
  const { here, there, makeKey, readNext, onStep } = options;
  let state: { here: KeyState; there: KeyState };
  let upcoming: Next;
  try {
    const mine = await here.do({ do: "look" });
    state = { here: mine, there: await there.do({ do: "look" }) };
    upcoming = nextStep(state.here, state.there, readNext());
  } catch (cause) {
    const why = messageOf(cause);
    throw new Error(
      `Cannot replace the cluster key as ${why}\nNothing was changed: the key in use stays.`,
      { cause },
    );
  }
  const resumed = upcoming !== "done";
  if (!resumed) {
    try {
      state.here = await here.do({ do: "offer", key: makeKey() });
      upcoming = nextStep(state.here, state.there, readNext());
    } catch (cause) {
      throw await withdrawn(cause, here);
    }
    onStep("this host accepts the new key");
  }
  for (let count = 0; count < STEPS_MAX; count++) {
    if (typeof upcoming === "string") return { id: state.here.current[0] ?? "", resumed };
    const { on, order, text }: RotationStep = upcoming;
    try {
      const host: KeyHost = on === "here" ? here : there;
      state = { ...state, [on]: await host.do(order) };
      onStep(text);
      upcoming = nextStep(state.here, state.there, readNext());
    } catch (cause) {
      throw await stopped({ cause, isFirst: order.do === "offer" && !resumed, here });
    }
  }
  throw new Error("Cannot replace the cluster key as it does not come to an end: relais doctor");
}

/** A key that nobody else has yet is taken back; after that, whatever was reached stays. */
async function stopped({ cause, isFirst, here }: {
  readonly cause: unknown;
  readonly isFirst: boolean;
  readonly here: RotateOptions["here"];
}): Promise<Error> {
  if (isFirst && cause instanceof OfferRefusedError) return await withdrawn(cause, here);
  return new Error(
    `The replacement of the cluster key stopped: ${
      messageOf(cause)
    }\nBoth hosts understand each other as before. ` +
      "Go on with it on this host: relais keygen --rotate",
    { cause },
  );
}

/** The new key is taken back: no other host has it. */
async function withdrawn(cause: unknown, here: RotateOptions["here"]): Promise<Error> {
  // A daemon that cannot read the files now goes on with the keys that it has: the old one is among them.
  await here.withdraw().catch(() => {});
  return new Error(
    `Cannot replace the cluster key as ${
      messageOf(cause)
    }\nNothing is changed: the key in use stays.`,
    { cause },
  );
}

/** The other host has said no; so it has not kept the new key. */
export class OfferRefusedError extends Error {
  override readonly name = "OfferRefusedError";
}
