/**
 * What relais asks of etcd, as one endpoint answers it and as a cluster of endpoints is used. The real ones
 * are in `gateway.ts` and `endpoints.ts`; the simulation has its own.
 *
 * @module
 */

/** What stands in a key. */
export interface Kept {
  readonly value: string;
  /** The lease that it hangs on; "0": none. */
  readonly leaseId: string;
  /** Raised by each change of the key: the condition for the next one. */
  readonly modRevision: string;
}

/** An answer, with the term of the leader as this endpoint knew it. */
export interface Answered<T> {
  readonly value: T;
  readonly term: string;
}

/** One endpoint. Every call rejects with an error that names the endpoint, or when `signal` aborts. */
export interface Etcd {
  /** A new lease. @returns its id and the time to live that was granted, ms */
  grant(
    ttlMs: number,
    signal: AbortSignal,
  ): Promise<{ readonly leaseId: string; readonly ttlMs: number }>;
  /** Renews a lease. @returns its time to live from the renewal on, ms; 0: there is no such lease any more */
  keepAlive(leaseId: string, signal: AbortSignal): Promise<Answered<number>>;
  /** Reads a key, as the majority has it (linearizable). Null: it is not there. */
  read(key: string, signal: AbortSignal): Promise<Answered<Kept | null>>;
  /**
   * In one transaction: writes the key if it is as expected (null: absent).
   *
   * @returns whether it was
   */
  claim(options: {
    readonly key: string;
    readonly value: string;
    readonly leaseId: string;
    readonly expected: Kept | null;
  }, signal: AbortSignal): Promise<boolean>;
  /** Ends a lease; its keys go with it. One that is gone already is no error. */
  revoke(leaseId: string, signal: AbortSignal): Promise<void>;
  /** For people: version and whether it is healthy. */
  about(signal: AbortSignal): Promise<string>;
}

/** The endpoints of one cluster. */
export interface EtcdCluster {
  /**
   * Does some work with one endpoint; if it fails or takes too long, with the next one, each once.
   *
   * @param options.patience how many times longer than usual it may take; default 1
   * @throws {Error} naming what each endpoint said, when none did it
   */
  attempt<T>(
    work: (etcd: Etcd, signal: AbortSignal) => Promise<T>,
    options?: { readonly patience?: number },
  ): Promise<T>;
  /** Ends every connection. */
  close(): void;
}
