/**
 * A directory of a test's own.
 *
 * @module
 */

/** Made empty, removed with all that is in it when disposed. */
export class TempDirectory implements Disposable {
  readonly path: string;

  constructor() {
    this.path = Deno.makeTempDirSync({ prefix: "relais-test-" });
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
