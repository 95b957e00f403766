/**
 * Time of the simulation: a queue of events, and the runtime's own timers in it. `setTimeout`,
 * `AbortSignal.timeout` and `performance.now` belong, while a process of the simulation runs, to that
 * process; promises are driven to their end after each event, so that nothing depends on the machine.
 *
 * @module
 */

/** Who owns timers: a process on a host, whose clock may drift and pause, and which may stand still. */
export interface Owner {
  readonly alive: boolean;
  /** Nothing of it runs now; what is due waits in {@linkcode Owner.parked}. */
  readonly blocked: boolean;
  readonly parked: Entry[];
  /** Its monotonic clock now, in its own milliseconds. */
  nodeNow(): number;
  /** How many of its milliseconds pass in one of the simulation. */
  readonly rate: number;
}

/** One event. */
export interface Entry {
  at: number;
  seq: number;
  readonly owner: Owner | null;
  /** Timers of a process are due by its own clock; null: due at `at`. */
  readonly dueNode: number | null;
  readonly run: () => void;
  cancelled: boolean;
}

// deno-lint-ignore no-explicit-any -- the only door to V8's microtask queue has no type
const internals = (Deno as any)[(Deno as any).internal].core as { runMicrotasks(): void };

/** The queue. One at a time per process of the machine: it owns the global timers. */
export class VirtualTime {
  now = 0;
  /** Events so far. */
  events = 0;
  #seq = 0;
  #heap: Entry[] = [];
  #current: Owner | null = null;
  readonly #timers = new Map<number, Entry>();
  #nextTimer = 1;
  readonly #real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    now: performance.now,
    timeout: AbortSignal.timeout,
  };

  /** Takes the global timers. Give them back with {@linkcode VirtualTime.release}. */
  constructor() {
    const set = (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): number => {
      const owner = this.#current;
      if (owner === null) throw new Error("A timer was set outside of every simulated process");
      const id = this.#nextTimer++;
      const entry = this.timer(owner, ms, () => {
        this.#timers.delete(id);
        run(...args);
      });
      this.#timers.set(id, entry);
      return id;
    };
    const clear = (id?: number): void => {
      const entry = this.#timers.get(id ?? -1);
      if (entry !== undefined) entry.cancelled = true;
      this.#timers.delete(id ?? -1);
    };
    globalThis.setTimeout = set as unknown as typeof globalThis.setTimeout;
    globalThis.clearTimeout = clear as unknown as typeof globalThis.clearTimeout;
    performance.now = () => this.#current?.nodeNow() ?? this.now;
    AbortSignal.timeout = (ms: number): AbortSignal => {
      const abort = new AbortController();
      set(() => abort.abort(new DOMException("Signal timed out.", "TimeoutError")), ms);
      return abort.signal;
    };
  }

  /** Gives the global timers back. */
  release(): void {
    globalThis.setTimeout = this.#real.setTimeout;
    globalThis.clearTimeout = this.#real.clearTimeout;
    performance.now = this.#real.now;
    AbortSignal.timeout = this.#real.timeout;
    this.#heap = [];
  }

  /** Something happens in `ms`, whoever is stopped meanwhile; with an owner: in its place and name. */
  after(ms: number, run: () => void, owner: Owner | null = null): Entry {
    return this.#push({
      at: this.now + Math.max(0, ms),
      seq: this.#seq++,
      owner,
      dueNode: null,
      run,
      cancelled: false,
    });
  }

  /** A timer by the clock of its owner. */
  timer(owner: Owner, ms: number, run: () => void): Entry {
    const wait = Math.max(0, ms);
    return this.#push({
      at: this.now + wait / owner.rate,
      seq: this.#seq++,
      owner,
      dueNode: owner.nodeNow() + wait,
      run,
      cancelled: false,
    });
  }

  /** What waited while its owner stood still happens now, in its order. */
  unpark(owner: Owner): void {
    const waiting = owner.parked.splice(0);
    for (const entry of waiting) {
      entry.at = this.now;
      entry.seq = this.#seq++;
      this.#push(entry);
    }
  }

  /** Runs in the name of `owner`, with all that follows at once. */
  within(owner: Owner, run: () => void): void {
    const before = this.#current;
    this.#current = owner;
    run();
    if (before === null) internals.runMicrotasks();
    this.#current = before;
  }

  /** Turns until `end`, or until `stop` says so after an event. */
  runUntil(end: number, stop: () => boolean = () => false): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= end; next = this.#heap[0]) {
      this.#pop();
      if (next.cancelled) continue;
      const { owner } = next;
      if (owner !== null && !owner.alive) continue;
      this.now = Math.max(this.now, next.at);
      if (owner?.blocked === true) {
        owner.parked.push(next);
        continue;
      }
      if (owner !== null && next.dueNode !== null) {
        const early = next.dueNode - owner.nodeNow();
        if (early > 1e-6) {
          next.at = this.now + early / owner.rate;
          next.seq = this.#seq++;
          this.#push(next);
          continue;
        }
      }
      this.events++;
      if (owner === null) {
        next.run();
        internals.runMicrotasks();
      } else this.within(owner, next.run);
      if (stop()) return;
    }
    this.now = Math.max(this.now, end);
  }

  #push(entry: Entry): Entry {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!isBefore(entry, heap[up]!)) break;
      heap[i] = heap[up]!;
      i = up;
    }
    heap[i] = entry;
    return entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.seq < b.seq);
}
