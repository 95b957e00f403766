/**
 * Starting, stopping and reading the operator's services, however they are run.
 *
 * @module
 */

import type { ServicesConfig } from "../config/types.ts";
import { CommandDriver } from "./command.ts";
import { NoServices } from "./no_services.ts";
import { SystemdDriver } from "./systemd.ts";

/** Options of {@linkcode ServiceDriver.start} and {@linkcode ServiceDriver.stop}. */
export interface DriveOptions {
  /** Aborting ends the work after at most one tool call; what was started stays: call `stop`. */
  readonly signal?: AbortSignal;
  /** Progress in words, one per unit: `asterisk.service started`. */
  readonly onUnit?: (text: string) => void;
}

/** Drives the operator's services. One call at a time; the undo of `start` is `stop`. */
export interface ServiceDriver {
  /** What is driven, in start order. */
  readonly names: readonly string[];
  /**
   * Starts all, in order; done when all run. Services that already run are left alone.
   *
   * @throws {ServiceError} naming the one that failed; those before it run
   * @throws {DOMException} `AbortError` when the signal aborts
   */
  start(options?: DriveOptions): Promise<void>;
  /**
   * Stops all, in reverse order, going on after a failure.
   *
   * @throws {ServiceError} naming all that failed
   * @throws {DOMException} `AbortError` when the signal aborts
   */
  stop(options?: DriveOptions): Promise<void>;
  /**
   * What runs now; `some` also while one is starting or stopping.
   *
   * @throws {ServiceError} when it cannot be read
   */
  running(): Promise<"none" | "some" | "all">;
  /**
   * The daemon ends: sees to it that a service whose start was cut off by somebody else's stop (the host
   * shuts down) ends, too. Bounded; at once when there is none. Never rejects.
   */
  seeOff?(): Promise<void>;
}

/**
 * The driver of the configuration.
 *
 * @param options.adopted this host was serving when the former daemon ended: without any services
 * (HA of the VIPs alone) there is nothing else to tell that they "run"
 */
export function createServiceDriver(
  config: ServicesConfig,
  options: { readonly adopted?: boolean } = {},
): ServiceDriver {
  if (config.command !== null) return new CommandDriver(config.command, config);
  if (config.units.length === 0) return new NoServices(options.adopted ?? false);
  return new SystemdDriver(config);
}
