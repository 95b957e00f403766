/**
 * Where relais keeps its things; `--config`, `--key`, `--state-dir`, `--run-dir` and `--unit-dir` move them,
 * so that any number of daemons can run on one machine, each in its own network namespace.
 *
 * @module
 */

/** Places that the daemon and its clients share. */
export interface Paths {
  readonly config: string;
  readonly key: string;
  readonly stateDir: string;
  readonly runDir: string;
  /** Where the drop-ins of the gate go. */
  readonly unitDir: string;
}

/** The places of an installed relais. */
export const DEFAULT_PATHS: Paths = {
  config: "/etc/relais/relais.toml",
  key: "/etc/relais/cluster.key",
  stateDir: "/var/lib/relais",
  runDir: "/run/relais",
  unitDir: "/etc/systemd/system",
};

/** The Unix socket on which the daemon answers its clients. */
export function controlSocket(paths: Pick<Paths, "runDir">): string {
  return `${paths.runDir}/control.sock`;
}
