/**
 * Reads the daemon's status from its control socket without starting a program, so that a test may look
 * often.
 *
 * @module
 */

/** How long an answer may take; a frozen daemon answers none. */
const DEADLINE_MS = 2_000;
const MAX_BYTES = 4 << 20;

/**
 * `GET path` over a Unix socket; null when nobody listens there or no whole answer came.
 */
export async function getJson(socketPath: string, path: string): Promise<unknown> {
  let connection: Deno.UnixConn;
  try {
    connection = await Deno.connect({ transport: "unix", path: socketPath });
  } catch {
    return null; // no socket, or its daemon is gone
  }
  const timer = setTimeout(() => close(connection), DEADLINE_MS);
  try {
    const request = `GET ${path} HTTP/1.1\r\nHost: relais\r\nConnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(request));
    return parseAnswer(await readAll(connection));
  } catch {
    return null; // reset, or closed by the deadline
  } finally {
    clearTimeout(timer);
    close(connection);
  }
}

function close(connection: Deno.UnixConn): void {
  try {
    connection.close();
  } catch {
    // Closed before.
  }
}

async function readAll(connection: Deno.UnixConn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65536);
  let text = "";
  while (text.length < MAX_BYTES) {
    const length = await connection.read(buffer);
    if (length === null) break;
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
  return text;
}

function parseAnswer(answer: string): unknown {
  const end = answer.indexOf("\r\n\r\n");
  if (end < 0 || !/^HTTP\/1\.1 200 /.test(answer)) return null;
  const head = answer.slice(0, end);
  const body = answer.slice(end + 4);
  return JSON.parse(/^transfer-encoding: chunked/mi.test(head) ? unchunk(body) : body);
}

/** RFC 9112 section 7.1; sizes count bytes. */
function unchunk(body: string): string {
  const bytes = new TextEncoder().encode(body);
  const decoder = new TextDecoder();
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const lineEnd = bytes.indexOf(10, at);
    const size = parseInt(decoder.decode(bytes.subarray(at, lineEnd)), 16);
    if (!(size > 0)) break;
    text += decoder.decode(bytes.subarray(lineEnd + 1, lineEnd + 1 + size));
    at = lineEnd + 1 + size + 2;
  }
  return text;
}
