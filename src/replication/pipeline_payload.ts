/**
 * What a chain of programs prints, as the payload of a set.
 *
 * @module
 */

import type { Pipeline } from "./database_pipeline.ts";

/** Options of {@linkcode pipelinePayload}. */
export interface PipelinePayloadOptions {
  /** Resolves when all programs ended well; awaited behind their output. */
  readonly done: Promise<void>;
  /** Ends the programs when the receiver goes away. */
  readonly stop: AbortController;
  /** Goes in front of what they print. */
  readonly head?: Uint8Array;
  /** Each piece, with the bytes of all so far, before it is handed on. */
  readonly onPiece: (bytes: number) => void;
}

/** The output, whole or with the error of the program that failed. */
export function pipelinePayload(
  pipeline: Pick<Pipeline, "output">,
  { done, stop, head, onPiece }: PipelinePayloadOptions,
): ReadableStream<Uint8Array> {
  done.catch(() => {}); // Its consumer tells; a handler is needed at once.
  const reader = pipeline.output.getReader();
  let bytes = 0;
  return new ReadableStream<Uint8Array>({
    start(controller): void {
      if (head !== undefined) controller.enqueue(head);
    },
    async pull(controller): Promise<void> {
      const piece = await reader.read();
      if (piece.done) {
        // A chain that failed ends its output like one that is complete: only now is it known which.
        await done;
        controller.close();
        return;
      }
      bytes += piece.value.length;
      onPiece(bytes);
      controller.enqueue(piece.value);
    },
    async cancel(reason): Promise<void> {
      stop.abort(reason ?? new DOMException("the receiver of the dump went away", "AbortError"));
      await Promise.allSettled([reader.cancel(), done]);
    },
  });
}
