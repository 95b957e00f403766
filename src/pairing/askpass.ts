/**
 * One password for ssh and for sudo: ssh asks this program (SSH_ASKPASS) instead of the terminal, the
 * program asks the `relais pair` that started ssh, through a socket in a folder that only root may enter.
 *
 * @module
 */

import { writeAll } from "../os/write_all.ts";

/** Names the socket to the relais that ssh starts; set for that ssh only. */
const ASKPASS_VARIABLE = "RELAIS_ASKPASS";

const MAX_BYTES = 4096;

/** Answers questions of ssh until it is closed. */
export class AskpassServer {
  readonly #listener: Deno.UnixListener;
  readonly #done: Promise<void>;

  /** @param answer null: the question stays without an answer, and ssh tries the next way to log in */
  constructor(path: string, answer: (question: string) => Promise<string | null>) {
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#done = this.#serve(answer);
  }

  /** Stops answering. */
  async close(): Promise<void> {
    this.#listener.close();
    await this.#done;
  }

  async #serve(answer: (question: string) => Promise<string | null>): Promise<void> {
    // One after the other, as ssh asks.
    for await (const connection of this.#listener) {
      try {
        const said = await answer(await readAll(connection));
        if (said !== null) await writeAll(connection, new TextEncoder().encode(`${said}\n`));
      } catch {
        // Whoever asked is gone, or the operator has ended the program, which says so by itself.
      } finally {
        connection.close();
      }
    }
  }
}

/** The environment in which ssh asks the server at `path` through `program`. */
export function askpassEnvironment(program: string, path: string): Record<string, string> {
  return { SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: "force", [ASKPASS_VARIABLE]: path };
}

/** What ssh starts: passes the question on, prints the answer. Returns the exit status. */
export async function askpassMain(path: string, question: string): Promise<number> {
  using connection = await Deno.connect({ transport: "unix", path });
  await writeAll(connection, new TextEncoder().encode(question.slice(0, MAX_BYTES / 4)));
  await connection.closeWrite();
  const answer = await readAll(connection);
  if (answer === "") return 1;
  await writeAll(Deno.stdout, new TextEncoder().encode(answer));
  return 0;
}

async function readAll(connection: Deno.UnixConn): Promise<string> {
  const bytes = new Uint8Array(MAX_BYTES);
  let length = 0;
  while (length < bytes.length) {
    const count = await connection.read(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return new TextDecoder().decode(bytes.subarray(0, length));
}
