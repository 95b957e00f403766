/**
 * A small SIP registrar that stands in for Asterisk in the demo and in the namespace tests. It is *not*
 * Asterisk: no calls, no authentication, no dial plan; it answers OPTIONS and REGISTER over UDP and keeps
 * registrations in an astdb exactly as Asterisk does, which is what relais has to carry over. The real
 * Asterisk belongs to the laboratory with real hosts. Started by `pbx.sh`.
 *
 * `OPTIONS sip:1001@…` is answered 200 only while phone 1001 is registered here, else 404: "can this phone
 * be called on this host?". `OPTIONS sip:host` is answered 200.
 *
 * Arguments: PID_FILE [ASTDB_PATH]
 *
 * @module
 */

import { ASTDB_PATH, AsteriskDb } from "./asterisk_db.ts";
import { waitReadable } from "./blocking_socket.ts";
import { openUdpServer } from "./udp_server_socket.ts";

const CONTACT_PREFIX = "/registrar/contact/";
const SIP_PORT = 5060;

/** What Asterisk keeps of a contact, as far as it matters here. */
interface Contact {
  readonly uri: string;
  /** Seconds since 1970, as text: absolute, so both hosts' clocks must agree. */
  readonly expiration_time: string;
  readonly endpoint: string;
}

/** The registrar: contacts in memory, loaded from the astdb at start. */
export class Registrar {
  readonly #contacts = new Map<string, Contact>();

  constructor(readonly db: AsteriskDb, readonly serverName: string) {
    for (const [key, value] of db.entries(CONTACT_PREFIX)) {
      this.#contacts.set(key, JSON.parse(value) as Contact);
    }
  }

  /** The answer to a SIP request; null for what is none. */
  answer(request: string, wallMs: number): string | null {
    const [, method, uri] = /^([A-Z]+) (\S+) SIP\/2\.0\r?\n/.exec(request) ?? [];
    if (method === undefined || uri === undefined || method === "ACK") return null;
    if (method === "REGISTER") return this.#register(request, wallMs);
    if (method !== "OPTIONS") return this.#response(request, "405 Method Not Allowed");
    const user = userOf(uri);
    const known = user === null || this.#isRegistered(user, wallMs);
    return this.#response(request, known ? "200 OK" : "404 Not Found");
  }

  #register(request: string, wallMs: number): string {
    const user = userOf(header(request, "To") ?? "");
    const uri = /<([^>]+)>/.exec(header(request, "Contact") ?? "")?.[1];
    if (user === null || uri === undefined) return this.#response(request, "400 Bad Request");
    const expires = Number(header(request, "Expires") ?? "3600");
    const key = `${CONTACT_PREFIX}${user};@${hash(uri)}`;
    if (expires === 0) {
      this.#contacts.delete(key);
      this.db.delete(key);
      return this.#response(request, "200 OK");
    }
    const expiry = String(Math.floor(wallMs / 1000) + expires);
    const contact: Contact = { uri, expiration_time: expiry, endpoint: user };
    this.#contacts.set(key, contact);
    this.db.put(key, JSON.stringify(contact));
    return this.#response(request, "200 OK", [`Contact: <${uri}>;expires=${expires}`]);
  }

  #isRegistered(user: string, wallMs: number): boolean {
    return [...this.#contacts.values()].some(({ endpoint, expiration_time }) =>
      endpoint === user && Number(expiration_time) * 1000 > wallMs
    );
  }

  #response(request: string, status: string, more: readonly string[] = []): string {
    const copied = request.split("\r\n").filter((line) => /^(via|from|call-id|cseq):/i.test(line));
    const to = `To: ${header(request, "To") ?? "<sip:unknown>"};tag=pbx`;
    const own = [`Server: ${this.serverName}`, ...more, "Content-Length: 0", "", ""];
    return [`SIP/2.0 ${status}`, ...copied, to, ...own].join("\r\n");
  }
}

function header(request: string, name: string): string | undefined {
  return new RegExp(`^${name}:\\s*(.*?)\\r?$`, "mi").exec(request)?.[1];
}

function userOf(uri: string): string | null {
  return /sip:([^@;>\s]+)@/.exec(uri)?.[1] ?? null;
}

/** A stable short name of a contact, in place of Asterisk's hash. */
function hash(text: string): string {
  let value = 0x811c9dc5; // FNV-1a
  for (const char of text) value = Math.imul(value ^ char.codePointAt(0)!, 0x01000193) >>> 0;
  return value.toString(16).padStart(8, "0");
}

function main(): void {
  const [pidFile, path = ASTDB_PATH] = Deno.args;
  if (pidFile === undefined) throw new Error("Cannot start as the pid file is not given");
  const db = new AsteriskDb(path);
  const registrar = new Registrar(db, `test PBX on ${Deno.hostname()}`);
  const sockets = [openUdpServer(4, SIP_PORT), openUdpServer(6, SIP_PORT)];
  let ending = false;
  Deno.addSignalListener("SIGTERM", () => ending = true);
  Deno.writeTextFileSync(`${pidFile}.new`, `${Deno.pid}\n`);
  Deno.renameSync(`${pidFile}.new`, pidFile);
  const turn = (): void => {
    waitReadable(sockets.map(({ fd }) => fd), 20);
    for (const socket of sockets) {
      for (let request = socket.receive(); request !== null; request = socket.receive()) {
        const answer = registrar.answer(request.text, Date.now());
        if (answer !== null) request.reply(answer);
      }
    }
    db.sync(performance.now());
    if (!ending) setTimeout(turn, 0); // lets the signal in
    else {
      db.close();
      Deno.exit(0);
    }
  };
  turn();
}

if (import.meta.main) main();
