/**
 * sd_notify(3): tells systemd how the daemon is (unit `Type=notify`, `WatchdogSec=`). Without
 * `NOTIFY_SOCKET` in the environment everything here does nothing.
 *
 * @module
 */

import { errnoName } from "./socket.ts";
import { UnixDatagramSender } from "./unix_datagram.ts";

/** What systemd can be told; several at once make one message. */
export interface NotifyState {
  /** Start-up or reload is finished. */
  readonly ready?: true;
  /** One line for `systemctl status`; line ends become spaces, cut at 500 characters. */
  readonly status?: string;
  /** The loop is alive (keep-alive of `WatchdogSec=`). */
  readonly watchdog?: true;
  /** The daemon is ending. */
  readonly stopping?: true;
  /** The configuration is being read again; sends the monotonic stamp that `Type=notify-reload` wants. */
  readonly reloading?: true;
}

/** The environment variables that systemd sets, sd_notify(3) and sd_watchdog_enabled(3). */
export interface NotifyEnvironment {
  readonly NOTIFY_SOCKET?: string | undefined;
  readonly WATCHDOG_USEC?: string | undefined;
  readonly WATCHDOG_PID?: string | undefined;
}

/** Told once for each kind of failure: an unreachable systemd must not stop a PBX. */
export type NotifyTrouble = (message: string) => void;

const MAX_STATUS = 500;
const CLOCK_MONOTONIC = 1;

const SYMBOLS = {
  /** `int clock_gettime(clockid_t clk_id, struct timespec *tp);` clock_gettime(2) */
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Speaks to systemd for the life of the daemon. */
export class Notifier implements Disposable {
  readonly #sender: UnixDatagramSender | null;
  readonly #trouble: NotifyTrouble;
  #lastErrno = 0;

  /**
   * @param environment default: the process's own
   * @throws {RangeError} when `NOTIFY_SOCKET` is longer than a socket's name may be
   */
  constructor(options: {
    readonly environment?: NotifyEnvironment;
    readonly trouble?: NotifyTrouble;
  } = {}) {
    const name = (options.environment ?? processEnvironment()).NOTIFY_SOCKET ?? "";
    this.#trouble = options.trouble ?? ((): void => {});
    const known = name.startsWith("/") || name.startsWith("@");
    if (name !== "" && !known) {
      this.#trouble(`Cannot notify systemd as NOTIFY_SOCKET is "${name}": only / and @ are known`);
    }
    this.#sender = known ? new UnixDatagramSender(name) : null;
  }

  /** Somebody listens: `NOTIFY_SOCKET` is set. */
  get enabled(): boolean {
    return this.#sender !== null;
  }

  /**
   * Sends one message. Never throws and never waits; a failure is told to `trouble` when its errno
   * changes.
   *
   * @returns whether it was sent
   */
  notify(state: NotifyState): boolean {
    const sender = this.#sender;
    if (sender === null) return false;
    const text = encodeNotifyState(state, state.reloading ? kernelMonotonicUsec() : 0n);
    const errno = sender.send(new TextEncoder().encode(text));
    if (errno !== this.#lastErrno && errno !== 0) {
      this.#trouble(`Cannot notify systemd as its socket says ${errnoName(errno)}`);
    }
    this.#lastErrno = errno;
    return errno === 0;
  }

  [Symbol.dispose](): void {
    this.#sender?.close();
  }
}

/**
 * The text of one sd_notify(3) message, one `KEY=value` a line.
 *
 * @param monotonicUsec CLOCK_MONOTONIC in microseconds, used with `reloading`
 */
export function encodeNotifyState(state: NotifyState, monotonicUsec: bigint): string {
  const lines: string[] = [];
  if (state.reloading) lines.push("RELOADING=1", `MONOTONIC_USEC=${monotonicUsec}`);
  if (state.ready) lines.push("READY=1");
  if (state.stopping) lines.push("STOPPING=1");
  if (state.status !== undefined) {
    lines.push(`STATUS=${state.status.replaceAll(/[\r\n\0]+/g, " ").slice(0, MAX_STATUS)}`);
  }
  if (state.watchdog) lines.push("WATCHDOG=1");
  return lines.join("\n");
}

/**
 * How often systemd wants a `watchdog` message at least, milliseconds: send at half of it. Null when it
 * does not watch this process.
 */
export function watchdogIntervalMs(
  environment: NotifyEnvironment = processEnvironment(),
  pid: number = Deno.pid,
): number | null {
  const micros = Number(environment.WATCHDOG_USEC ?? "");
  if (!Number.isSafeInteger(micros) || micros <= 0) return null;
  // Set for another process: we inherited the variables from a service that started us.
  const forPid = environment.WATCHDOG_PID;
  if (forPid !== undefined && forPid !== String(pid)) return null;
  return micros / 1000;
}

/**
 * The kernel's CLOCK_MONOTONIC in microseconds, the clock that systemd compares with its own;
 * `performance.now()` counts from the start of the process.
 *
 * @throws {Error} when libc can't be opened
 */
export function kernelMonotonicUsec(): bigint {
  const library = Deno.dlopen("libc.so.6", SYMBOLS);
  const time = new BigInt64Array(2);
  library.symbols.clock_gettime(CLOCK_MONOTONIC, time);
  library.close();
  return (time[0] ?? 0n) * 1_000_000n + (time[1] ?? 0n) / 1000n;
}

function processEnvironment(): NotifyEnvironment {
  return {
    NOTIFY_SOCKET: Deno.env.get("NOTIFY_SOCKET"),
    WATCHDOG_USEC: Deno.env.get("WATCHDOG_USEC"),
    WATCHDOG_PID: Deno.env.get("WATCHDOG_PID"),
  };
}
