/**
 * `relais init`: writes a first configuration from flags, answers and what is found on the host.
 *
 * @module
 */

import { dirname } from "node:path";
import {
  ConfigError,
  formatIssue,
  identifyRole,
  IdentityError,
  parseConfig,
} from "../config/load.ts";
import { systemClock } from "../os/clock.ts";
import { messageOf } from "../os/errors.ts";
import { writeAll } from "../os/write_all.ts";
import { oldName, writeFileAtomically } from "../os/durable_file.ts";
import { ownAddresses } from "../runtime/preflight.ts";
import { decide, type Flags } from "../setup/decide.ts";
import { renderConfig } from "../setup/draft.ts";
import { findHost } from "../setup/found.ts";
import { MissingFactsError, NoAnswerError } from "../setup/questions.ts";
import { fill, type Words, wordsFor } from "../setup/words.ts";
import { type Asker, canAsk, terminalAsker } from "./ask.ts";
import { EXIT } from "./exit_codes.ts";
import { textOf } from "./file_text.ts";

/** Options of the verb. */
export interface InitOptions {
  /** Where the configuration goes. */
  readonly config: string;
  readonly flags: Flags;
  readonly force: boolean;
  readonly print: boolean;
  /** Nobody is asked. */
  readonly yes: boolean;
}

/** Runs the verb and returns the exit status. Until the very end nothing is written. */
export async function init(options: InitOptions): Promise<number> {
  const { config: path, force, print } = options;
  const before = await textOf(path);
  if (before !== null && !force && !print) {
    console.error(
      `relais: Cannot write ${path} as there is one already: see what would stand there with --print, ` +
        `or replace it with --force (the old one stays beside it)`,
    );
    return EXIT.failed;
  }
  const words = wordsFor(
    Deno.env.get("LC_ALL") || Deno.env.get("LC_MESSAGES") || Deno.env.get("LANG") || "",
  );
  const asker = canAsk() && !options.yes ? terminalAsker(new AbortController().signal) : null;
  let text: string;
  try {
    text = await makeText(options.flags, words, asker);
  } catch (error) {
    if (!(error instanceof MissingFactsError) && !(error instanceof NoAnswerError)) throw error;
    console.error(`\nrelais: ${error.message}`.trimStart());
    return error instanceof MissingFactsError ? EXIT.usage : EXIT.failed;
  }
  const refused = await whyRefused(text, path);
  if (refused !== null && !(print && refused.status === EXIT.misconfigured)) {
    console.error(refused.text);
    return refused.status;
  }
  if (print) {
    if (refused !== null) console.error(refused.text);
    await writeAll(Deno.stdout, new TextEncoder().encode(text));
    return EXIT.ok;
  }
  if (asker !== null && !await agrees(asker, words, { text, path })) {
    console.error(`relais: ${words.nothing}`);
    return EXIT.failed;
  }
  await write(path, text, before);
  console.log(fill(words.written, { path }));
  return EXIT.ok;
}

async function makeText(flags: Flags, words: Words, asker: Asker | null): Promise<string> {
  const dialogue = asker === null ? null : {
    ask: (question: string) => asker.ask(question),
    say: (line: string) => writeAll(Deno.stderr, new TextEncoder().encode(`${line}\n`)),
  };
  return renderConfig(await decide({ flags, found: await findHost(), words, dialogue }));
}

async function agrees(
  asker: Asker,
  words: Words,
  { text, path }: { readonly text: string; readonly path: string },
): Promise<boolean> {
  await writeAll(Deno.stderr, new TextEncoder().encode(`\n${text}\n`));
  const yes = words.none === "none" ? "yes" : "oui";
  const answer = await asker.ask(`${fill(words.write, { path })} [${yes}]: `);
  return answer !== null && /^(|y|yes|o|oui)$/i.test(answer);
}

/** The real reader judges what will be written; and this host must be one of the two. */
async function whyRefused(
  text: string,
  path: string,
): Promise<{ readonly status: number; readonly text: string } | null> {
  try {
    identifyRole(parseConfig(text), await ownAddresses());
    return null;
  } catch (error) {
    if (error instanceof IdentityError) {
      return { status: EXIT.misconfigured, text: `relais: ${messageOf(error)}` };
    }
    if (!(error instanceof ConfigError)) throw error;
    const issues = error.issues.map((issue) => `  ${formatIssue(issue)}`);
    const count = issues.length === 1 ? "1 problem" : `${issues.length} problems`;
    const lines = [`relais: Cannot write ${path} as this would be refused: ${count}`, ...issues];
    return { status: EXIT.badConfig, text: lines.join("\n") };
  }
}

async function write(path: string, text: string, before: string | null): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o755 });
  if (before !== null) {
    const beside = oldName(path, systemClock.wallMs());
    await writeFileAtomically(beside, before, 0o644);
    console.log(`${path} -> ${beside}`);
  }
  await writeFileAtomically(path, text, 0o644);
}
