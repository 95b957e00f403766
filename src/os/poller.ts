/**
 * One poll(2) loop for all sockets of the daemon. It waits on a thread of the runtime (a nonblocking
 * FFI call), so that the program's own thread stays free; an eventfd ends the wait at once when the set
 * of descriptors changes.
 *
 * @module
 */

import { libc } from "./libc.ts";
import { errnoName, takeSocketError } from "./socket.ts";
import { Wakeup } from "./wakeup.ts";

const POLLIN = 0x1;
const POLLERR = 0x8;
const POLLHUP = 0x10;
const POLLNVAL = 0x20;

/** Bytes of a `struct pollfd { int fd; short events; short revents; }`. */
const POLLFD_SIZE = 8;
/** The longest wait of one round, ms: a lost wake-up (there should be none) costs at most this. */
const ROUND_MS = 1000;
/** Rounds in a row in which a descriptor may report an error without a cause before it is dropped. */
const MAX_EMPTY_ERRORS = 3;
/** Pause after a failed poll(2), ms, so that a persistent failure can't spin. */
const FAILURE_PAUSE_MS = 20;

/** A descriptor reported an error. */
export interface PollError {
  /** Name of the error, e.g. `ENETDOWN`; `POLLNVAL`, `POLLHUP` or `POLLERR` when there is no errno. */
  readonly code: string;
  /** True: the poller has dropped the descriptor, nothing more will come from it. */
  readonly dropped: boolean;
}

/** What {@linkcode Poller.add} returns. */
export interface PollRegistration {
  /** Stops watching. The descriptor stays open: its owner closes it. May be called twice. */
  close(): void;
}

interface Entry {
  readonly fd: number;
  readonly onReadable: () => void;
  readonly onError: (error: PollError) => void;
  emptyErrors: number;
  closed: boolean;
}

/** Options of {@linkcode Poller}. */
export interface PollerOptions {
  /** Receives what a callback threw; the loop goes on. Default: `console.error`. */
  readonly onCallbackError?: (error: unknown) => void;
}

/** The loop. Nothing is polled before {@linkcode start}. */
export class Poller {
  readonly #entries = new Set<Entry>();
  readonly #onCallbackError: (error: unknown) => void;
  #wakeup: Wakeup | null = null;
  #loop: Promise<void> | null = null;
  #stopping = false;
  #rounds = 0;

  constructor(options: PollerOptions = {}) {
    this.#onCallbackError = options.onCallbackError ??
      ((error): void => console.error("Callback of a socket failed:", error));
  }

  /** Rounds since the start: for the check that an idle loop does not spin. */
  get rounds(): number {
    return this.#rounds;
  }

  /**
   * Watches `fd`. `onReadable` must read until nothing is left, or up to a bound of its own: what is
   * left is reported again in the next round. `onError` hears of a pending socket error (which is taken
   * away, so that it can't spin) and of a descriptor that is dropped.
   */
  add(
    fd: number,
    onReadable: () => void,
    onError: (error: PollError) => void = () => {},
  ): PollRegistration {
    const entry: Entry = { fd, onReadable, onError, emptyErrors: 0, closed: false };
    this.#entries.add(entry);
    this.#wakeup?.wake();
    return { close: () => this.#drop(entry) };
  }

  /**
   * Starts the loop; does nothing when it runs.
   *
   * @throws {SocketError} when the kernel gives no descriptor
   */
  start(): void {
    if (this.#loop !== null) return;
    this.#stopping = false;
    const wakeup = new Wakeup();
    this.#wakeup = wakeup;
    this.#loop = this.#run(wakeup);
  }

  /** Ends the loop; resolves when no poll(2) is in progress any more. Registrations stay. */
  async stop(): Promise<void> {
    if (this.#loop === null) return;
    this.#stopping = true;
    this.#wakeup?.wake();
    await this.#loop;
    this.#loop = null;
  }

  #drop(entry: Entry): void {
    entry.closed = true;
    if (this.#entries.delete(entry)) this.#wakeup?.wake();
  }

  async #run(wakeup: Wakeup): Promise<void> {
    try {
      while (!this.#stopping) {
        const entries = [...this.#entries];
        const pollfds = encodePollfds([wakeup.fd, ...entries.map((entry) => entry.fd)]);
        const count = pollfds.byteLength / POLLFD_SIZE;
        // `pollfds` is referenced below, so it outlives the call that writes into it.
        const ready = await libc().poll(pollfds, BigInt(count), ROUND_MS);
        this.#rounds++;
        if (ready < 0) {
          // errno is another thread's. EINTR is harmless, anything else must not spin.
          await new Promise((resolve) => setTimeout(resolve, FAILURE_PAUSE_MS));
          continue;
        }
        if (ready === 0) continue;
        const view = new DataView(pollfds.buffer);
        if (view.getInt16(6, true) !== 0) wakeup.clear();
        entries.forEach((entry, i) => {
          const revents = view.getInt16((i + 1) * POLLFD_SIZE + 6, true);
          if (revents !== 0 && !this.#stopping) this.#serve(entry, revents);
        });
      }
    } finally {
      this.#wakeup = null;
      wakeup.close();
    }
  }

  #serve(entry: Entry, revents: number): void {
    // An earlier callback of this round may have closed it; its number may already be another's.
    if (entry.closed) return;
    if ((revents & POLLNVAL) !== 0) return this.#fail(entry, "POLLNVAL");
    if ((revents & POLLERR) !== 0) {
      const errno = takeSocketError(entry.fd);
      if (errno !== 0) {
        entry.emptyErrors = 0;
        this.#call(() => entry.onError({ code: errnoName(errno), dropped: false }));
      } else if (++entry.emptyErrors >= MAX_EMPTY_ERRORS) {
        return this.#fail(entry, "POLLERR");
      }
    } else {
      entry.emptyErrors = 0;
    }
    if (entry.closed) return;
    if ((revents & POLLIN) !== 0) this.#call(entry.onReadable);
    else if ((revents & POLLHUP) !== 0) this.#fail(entry, "POLLHUP");
  }

  #fail(entry: Entry, code: string): void {
    this.#drop(entry);
    this.#call(() => entry.onError({ code, dropped: true }));
  }

  #call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#onCallbackError(error);
    }
  }
}

/** An array of `struct pollfd` that asks for POLLIN. Off the JavaScript heap: it must not move. */
function encodePollfds(fds: readonly number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(fds.length * POLLFD_SIZE));
  const view = new DataView(bytes.buffer);
  fds.forEach((fd, i) => {
    view.setInt32(i * POLLFD_SIZE, fd, true);
    view.setInt16(i * POLLFD_SIZE + 4, POLLIN, true);
  });
  return bytes;
}
