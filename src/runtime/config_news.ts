/**
 * What there is to say about the configuration file of the running daemon.
 *
 * @module
 */

/** Lives as long as the process; written by the one who reads the file. */
export interface ConfigNews {
  /** When the configuration that is in force was read; wall time in milliseconds. */
  loadedAt: number;
  /** A sentence for the alerts as long as the last reload was refused; null: there is nothing to tell. */
  refusal: string | null;
}
