import assert from "node:assert/strict";
import { KernelFileError, readKernelFile } from "./kernel_file.ts";

// Opens the library, which stays open for the life of the process, outside of any test.
readKernelFile("/proc/uptime");

Deno.test("readKernelFile() reads /proc and /sys", () => {
  assert.match(
    readKernelFile("/proc/sys/kernel/random/boot_id"),
    /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\n$/,
  );
  assert.match(readKernelFile("/sys/class/net/lo/address"), /^00:00:00:00:00:00\n$/);
});

Deno.test("readKernelFile() reads a file longer than one chunk whole", () => {
  const text = readKernelFile("/proc/self/smaps");
  assert.ok(text.length > 65536, `only ${text.length} characters`);
  assert.ok(text.includes("[vsyscall]") || text.includes("[vdso]"), "the end is missing");
});

Deno.test("readKernelFile() names the file and the errno when there is none", () => {
  assert.throws(() => readKernelFile("/proc/no-such-file"), (error) => {
    assert.ok(error instanceof KernelFileError);
    assert.equal(error.errno, 2);
    assert.match(error.message, /\/proc\/no-such-file/);
    return true;
  });
});

Deno.test("readKernelFile() refuses other places", () => {
  for (const path of ["/etc/passwd", "/proc/../etc/passwd", "proc/uptime", "/proc/a\0b"]) {
    assert.throws(() => readKernelFile(path), TypeError, path);
  }
});
