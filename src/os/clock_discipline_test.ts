import assert from "node:assert/strict";
import { isClockSynchronised } from "./clock_discipline.ts";
import { libc } from "./libc.ts";
import { run, ToolMissingError } from "./process.ts";

// libc is opened once and stays open.
libc();

Deno.test("isClockSynchronised() says what adjtimex(2) says to another program", async () => {
  const own = isClockSynchronised();
  const script = "import ctypes; b = ctypes.create_string_buffer(208); " +
    "print(ctypes.CDLL(None).adjtimex(b))";
  try {
    const { stdout } = await run(["python3", "-c", script], { deadlineMs: 20_000 });
    assert.equal(own, stdout.trim() !== "5");
  } catch (error) {
    if (!(error instanceof ToolMissingError)) throw error;
    assert.equal(typeof own, "boolean");
  }
});
