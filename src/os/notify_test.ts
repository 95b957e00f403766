import assert from "node:assert/strict";
import { TempDirectory } from "../../tests/support/temp_directory.ts";
import { UnixReceiver } from "../../tests/support/unix_receiver.ts";
import { readKernelFile } from "./kernel_file.ts";
import { libc } from "./libc.ts";
import { encodeNotifyState, kernelMonotonicUsec, Notifier, watchdogIntervalMs } from "./notify.ts";

// Opens the libraries, which stay open for the life of the process, outside of any test.
libc();
readKernelFile("/proc/uptime");

const NAMES = {
  path: (directory: TempDirectory): string => `${directory.path}/notify`,
  abstract: (): string => `@relais-notify-${crypto.randomUUID()}`,
};

for (const [kind, makeName] of Object.entries(NAMES)) {
  Deno.test(`Notifier.notify() reaches a real socket with a name of kind ${kind}`, () => {
    using directory = new TempDirectory();
    const name = makeName(directory);
    using receiver = new UnixReceiver(name);
    using notifier = new Notifier({ environment: { NOTIFY_SOCKET: name } });
    assert.equal(notifier.enabled, true);
    assert.equal(notifier.notify({ ready: true, status: "standby: peer alive" }), true);
    assert.equal(notifier.notify({ watchdog: true }), true);
    assert.equal(notifier.notify({ stopping: true }), true);
    assert.deepEqual(receiver.takeText(), [
      "READY=1\nSTATUS=standby: peer alive",
      "WATCHDOG=1",
      "STOPPING=1",
    ]);
  });
}

Deno.test("Notifier.notify() with reloading sends the kernel's monotonic time", () => {
  const name = NAMES.abstract();
  using receiver = new UnixReceiver(name);
  using notifier = new Notifier({ environment: { NOTIFY_SOCKET: name } });
  const before = kernelMonotonicUsec();
  notifier.notify({ reloading: true });
  const after = kernelMonotonicUsec();
  const match = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(receiver.takeText()[0] ?? "");
  const sent = BigInt(match?.[1] ?? -1);
  assert.ok(before <= sent && sent <= after, `${before} ${sent} ${after}`);
});

Deno.test("kernelMonotonicUsec() is the clock of the kernel, not of this process", () => {
  // /proc/uptime counts suspended time too: never less than CLOCK_MONOTONIC.
  const usec = Number(kernelMonotonicUsec());
  const uptimeUsec = Number(readKernelFile("/proc/uptime").split(" ")[0]) * 1e6;
  assert.ok(usec > performance.now() * 1000);
  assert.ok(usec <= uptimeUsec + 1e6, `${usec} ${uptimeUsec}`);
});

Deno.test("Notifier does nothing without NOTIFY_SOCKET", () => {
  using notifier = new Notifier({ environment: {} });
  assert.equal(notifier.enabled, false);
  assert.equal(notifier.notify({ ready: true }), false);
});

Deno.test("Notifier.notify() tells a failure once and goes on when the socket comes back", () => {
  using directory = new TempDirectory();
  const name = NAMES.path(directory);
  const troubles: string[] = [];
  using notifier = new Notifier({
    environment: { NOTIFY_SOCKET: name },
    trouble: (message) => troubles.push(message),
  });
  assert.equal(notifier.notify({ watchdog: true }), false);
  assert.equal(notifier.notify({ watchdog: true }), false);
  assert.equal(troubles.length, 1);
  assert.match(troubles[0] ?? "", /Cannot notify systemd/);
  using receiver = new UnixReceiver(name);
  assert.equal(notifier.notify({ watchdog: true }), true);
  assert.deepEqual(receiver.takeText(), ["WATCHDOG=1"]);
});

Deno.test("Notifier.notify() does not wait for a receiver that stands still", () => {
  const name = NAMES.abstract();
  using receiver = new UnixReceiver(name);
  const troubles: string[] = [];
  using notifier = new Notifier({
    environment: { NOTIFY_SOCKET: name },
    trouble: (message) => troubles.push(message),
  });
  // net.unix.max_dgram_qlen is 10 by default, at most some thousands: this many never fit.
  let sent = 0;
  while (sent < 100_000 && notifier.notify({ watchdog: true })) sent++;
  assert.ok(sent < 100_000);
  assert.match(troubles.join(), /EAGAIN/);
  assert.equal(receiver.takeText().length, sent);
});

Deno.test("Notifier names a NOTIFY_SOCKET of a kind that it can't reach", () => {
  const troubles: string[] = [];
  using notifier = new Notifier({
    environment: { NOTIFY_SOCKET: "vsock:2:1234" },
    trouble: (message) => troubles.push(message),
  });
  assert.equal(notifier.enabled, false);
  assert.match(troubles.join(), /vsock:2:1234/);
});

Deno.test("encodeNotifyState() keeps a status on one line", () => {
  assert.equal(encodeNotifyState({ status: "a\nREADY=1\r\nb" }, 0n), "STATUS=a READY=1 b");
  assert.equal(encodeNotifyState({ status: "x".repeat(2000) }, 0n).length, "STATUS=".length + 500);
});

Deno.test("watchdogIntervalMs() follows sd_watchdog_enabled(3)", () => {
  assert.equal(watchdogIntervalMs({}, 7), null);
  assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: "10000000" }, 7), 10_000);
  assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: "10000000", WATCHDOG_PID: "7" }, 7), 10_000);
  assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: "10000000", WATCHDOG_PID: "8" }, 7), null);
  for (const bad of ["", "0", "-5", "soon", "1e99"]) {
    assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: bad }, 7), null, bad);
  }
});
