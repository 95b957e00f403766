/** A service could not be started, stopped or read. The message says which, why, and where to look. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
}
