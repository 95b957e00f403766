/**
 * What the session says on standard error is for the operator, except for the one prompt that we answer.
 *
 * @module
 */

/** A partial line that is longer than this is shown as it is. */
const MAX_HELD_CHARS = 4096;

/**
 * Passes lines on until the stream ends; `onPrompt` is called for each `prompt`, which is not shown.
 *
 * @throws what `onPrompt` throws; the rest is then read and dropped
 */
export async function passOnErrors(
  stream: ReadableStream<Uint8Array>,
  { prompt, onPrompt, write }: {
    readonly prompt: string;
    readonly onPrompt: () => Promise<void>;
    readonly write: (text: string) => Promise<void>;
  },
): Promise<void> {
  const decoder = new TextDecoder();
  let held = "";
  let failure: { readonly cause: unknown } | null = null;
  for await (const chunk of stream) {
    if (failure !== null) continue;
    held += decoder.decode(chunk, { stream: true });
    for (let at; failure === null && (at = held.indexOf(prompt)) !== -1;) {
      await write(held.slice(0, at));
      held = held.slice(at + prompt.length);
      await onPrompt().catch((cause: unknown) => {
        failure = { cause };
      });
    }
    const end = held.length > MAX_HELD_CHARS ? held.length : held.lastIndexOf("\n") + 1;
    await write(held.slice(0, end));
    held = held.slice(end);
  }
  if (failure !== null) throw (failure as { readonly cause: unknown }).cause;
  await write(held);
}
