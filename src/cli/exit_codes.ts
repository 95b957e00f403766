/**
 * Exit statuses of every verb (docs/exit-codes.md). Those above 63 are the ones of sysexits.h.
 *
 * @module
 */

/** What each status means. */
export const EXIT = {
  ok: 0,
  /** It was tried and failed, or was refused; the message says why. */
  failed: 1,
  /** `doctor`: something does not work (1: something will bite). */
  unhealthy: 2,
  /** `verify`: a copy is not what was copied. */
  different: 3,
  /** `verify`: something could not be checked, and nothing that was checked differs. */
  unchecked: 4,
  /** The arguments are not understood (EX_USAGE). */
  usage: 64,
  /** The configuration is refused (EX_DATAERR). */
  badConfig: 65,
  /** The configuration cannot be read (EX_NOINPUT). */
  noConfig: 66,
  /** The daemon does not run on this host (EX_UNAVAILABLE). */
  noDaemon: 69,
  /** The wait was over before the move was (EX_TEMPFAIL). */
  timedOut: 75,
  /** What the peer asked for through ssh is refused (EX_NOPERM). */
  refused: 77,
  /** The file is good, but this host is neither or both of its hosts; or the key is unusable (EX_CONFIG). */
  misconfigured: 78,
} as const;
