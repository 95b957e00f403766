/**
 * Single facts: from a flag, else asked for, else as found; and which ones are missing in the end.
 *
 * @module
 */

import { fill, type Words } from "./words.ts";

/** Facts that nobody gave. */
export class MissingFactsError extends Error {
  override readonly name = "MissingFactsError";
}

/** The input ended, or no answer made sense. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";
}

/** A person who can be asked. */
export interface Dialogue {
  /** The answer; null: the input ended. */
  ask(question: string): Promise<string | null>;
  say(text: string): Promise<void>;
}

/** One fact. */
export interface Question {
  readonly text: string;
  /** How to say it on the command line. */
  readonly flag: string;
  /** Given on the command line. */
  readonly typed: string | null | undefined;
  /** What was found; null: nothing. */
  readonly fallback: string | null;
  /** What an answer must be, in words, and whether it is. */
  readonly rule: string;
  readonly accepts: (answer: string) => boolean;
}

const MAX_TRIES = 10;

/** Asks for facts and keeps count of those that nobody gave. */
export class Questions {
  /** Flags that would have helped. */
  readonly missing: string[] = [];
  readonly #dialogue: Dialogue | null;
  readonly #words: Words;

  /** @param dialogue null: nobody can be asked */
  constructor(dialogue: Dialogue | null, words: Words) {
    this.#dialogue = dialogue;
    this.#words = words;
  }

  /** Null: none, by `-` or because there is nobody to ask and nothing was found. */
  async optional(question: Question, worthAsking: boolean): Promise<string | null> {
    const { typed, fallback, accepts } = question;
    if (typed === "-") return null;
    if (typed !== null && typed !== undefined) return typed;
    if (this.#dialogue === null || !worthAsking) return fallback;
    const answer = await this.required({
      ...question,
      fallback: fallback ?? "-",
      accepts: (text) => text === "-" || accepts(text),
    });
    return answer === "-" ? null : answer;
  }

  /**
   * The fact; empty, and remembered as missing, when nobody can be asked and nothing was found.
   *
   * @throws {NoAnswerError}
   */
  async required(question: Question): Promise<string> {
    const { text, flag, typed, fallback, rule, accepts } = question;
    const dialogue = this.#dialogue;
    const words = this.#words;
    if (typed !== null && typed !== undefined) return typed;
    if (dialogue === null) {
      if (fallback === null && flag !== "") this.missing.push(flag);
      return fallback ?? "";
    }
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const answer = await dialogue.ask(`${text}${fallback === null ? "" : ` [${fallback}]`}: `);
      if (answer === null) throw new NoAnswerError(words.nothing);
      const value = answer === "" ? fallback : answer;
      if (value !== null && accepts(value)) return value;
      await dialogue.say(`  ${fill(words.wrong, { rule, got: JSON.stringify(value ?? "") })}`);
    }
    throw new NoAnswerError(words.nothing);
  }
}
