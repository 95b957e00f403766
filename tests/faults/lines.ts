/**
 * Lines of JSON from a process, each handed over as it comes.
 *
 * @module
 */

/** Reads to the end. */
export async function readJsonLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (value: unknown) => void,
): Promise<void> {
  let text = "";
  for await (const chunk of stream) {
    text += new TextDecoder().decode(chunk); // ASCII
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) onLine(JSON.parse(line));
  }
}
