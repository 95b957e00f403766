/**
 * `GET /events`: the status as server-sent events (HTML standard, section 9.2). The document is sent at
 * once, again whenever something of substance changed, and at least each {@linkcode RESEND_MS} with
 * fresh ages; comments keep the connection alive between.
 *
 * @module
 */

import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { Clock } from "../os/clock.ts";
import type { StatusDocument } from "./types.ts";

/** Listeners at the same time; more are answered 503. */
export const EVENT_CLIENTS_MAX = 16;
/** Of them, from one address. */
export const EVENT_CLIENTS_PER_ADDRESS_MAX = 4;
const LOOK_MS = 500;
const HEARTBEAT_MS = 5_000;
const RESEND_MS = 10_000;

/** The clients that listen now. */
export class EventClients {
  readonly #status: () => StatusDocument;
  readonly #clock: Clock;
  #count = 0;
  /** By address; only those that listen now. */
  readonly #counts = new Map<string, number>();

  constructor({ status, clock }: { status: () => StatusDocument; clock: Clock }) {
    this.#status = status;
    this.#clock = clock;
  }

  /** Serves one client, which asks from `address`, until it goes. */
  serve(c: Context, address: string): Response | Promise<Response> {
    if (c.req.method === "HEAD") return c.body(null, 200, { "Content-Type": "text/event-stream" });
    if (this.#count >= EVENT_CLIENTS_MAX) {
      return c.json({ error: `${EVENT_CLIENTS_MAX} clients listen already` }, 503);
    }
    if ((this.#counts.get(address) ?? 0) >= EVENT_CLIENTS_PER_ADDRESS_MAX) {
      const error = `${EVENT_CLIENTS_PER_ADDRESS_MAX} clients of this address listen already`;
      return c.json({ error }, 503);
    }
    this.#add(address, 1);
    return streamSSE(c, async (stream) => {
      const gone = new AbortController();
      stream.onAbort(() => gone.abort());
      let sentAt = -Infinity;
      let wroteAt = this.#clock.nowMs();
      let known = "";
      try {
        while (!stream.aborted && !stream.closed) {
          const status = this.#status();
          const substance = substanceOf(status);
          const now = this.#clock.nowMs();
          if (substance !== known || now - sentAt >= RESEND_MS) {
            await stream.writeSSE({ event: "status", data: JSON.stringify(status) });
            known = substance;
            sentAt = wroteAt = now;
          } else if (now - wroteAt >= HEARTBEAT_MS) {
            await stream.write(": still here\n\n");
            wroteAt = now;
          }
          await this.#clock.sleep(LOOK_MS, gone.signal).catch(() => {});
        }
      } finally {
        this.#add(address, -1);
      }
    });
  }

  #add(address: string, more: 1 | -1): void {
    this.#count += more;
    const count = (this.#counts.get(address) ?? 0) + more;
    if (count === 0) this.#counts.delete(address);
    else this.#counts.set(address, count);
  }
}

/** What must differ for a new event: everything but ages and counters. */
function substanceOf(
  { node, peer, links, vips, services, dataSets, goal, ...rest }: StatusDocument,
): string {
  return JSON.stringify([
    [node.state, node.since, node.epoch, node.rule],
    [peer.verdict, peer.report?.state, peer.report?.fit, peer.configMatches],
    links.map(({ network, carrier }) => [network, carrier]),
    vips.map(({ vip, heldByMe, holder, holderMac }) => [vip, heldByMe, holder, holderMac]),
    [services.running, services.healthy],
    dataSets.map(({ set, direction, snapshot, lastErrorAt, running }) => [
      set,
      direction,
      snapshot,
      lastErrorAt,
      running,
    ]),
    [goal?.name, goal?.step],
    [rest.maintenance, rest.isolated, rest.fit, rest.ready, rest.alerts, rest.history.at(-1)?.at],
  ]);
}
