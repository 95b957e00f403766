/**
 * Reads small files of /proc and /sys. Deno refuses to open those without `--allow-all`, whatever
 * `--allow-read` says, so that the narrow permissions of the compiled program (packaging/toolchain/
 * permissions.txt) would break every such read; libc does not ask.
 *
 * @module
 */

import { lastErrno, libc } from "./libc.ts";

/** O_RDONLY | O_CLOEXEC. */
const OPEN_FLAGS = 0o2000000;
const MAX_BYTES = 1 << 20;

/** A file of /proc or /sys could not be read. */
export class KernelFileError extends Error {
  override readonly name = "KernelFileError";
  constructor(readonly path: string, readonly errno: number) {
    super(`Cannot read ${path} as the kernel refuses: errno ${errno}`);
  }
}

/**
 * The text of a file below /proc or /sys, at most 1 MiB of it. Synchronous: the kernel answers from
 * memory.
 *
 * @throws {KernelFileError} when it can't be opened or read (`errno` 2: no such file)
 * @throws {TypeError} when the path is elsewhere or holds a zero byte
 */
export function readKernelFile(path: string): string {
  if (!/^\/(proc|sys)\/[^\0]+$/.test(path) || path.includes("/../")) {
    throw new TypeError(`Cannot read "${path}" as a kernel file: it is not below /proc or /sys`);
  }
  const { open, close } = libc();
  const fd = open(new TextEncoder().encode(`${path}\0`), OPEN_FLAGS, 0);
  if (fd < 0) throw new KernelFileError(path, lastErrno());
  try {
    return readAll(fd, path);
  } finally {
    close(fd);
  }
}

function readAll(fd: number, path: string): string {
  const { read } = libc();
  const chunk = new Uint8Array(65536);
  const decoder = new TextDecoder();
  let text = "";
  for (let total = 0; total < MAX_BYTES;) {
    const count = Number(read(fd, chunk, BigInt(chunk.length)));
    if (count < 0) throw new KernelFileError(path, lastErrno());
    if (count === 0) break;
    text += decoder.decode(chunk.subarray(0, count), { stream: true });
    total += count;
  }
  return text + decoder.decode();
}
