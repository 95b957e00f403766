/**
 * Kills a daemon with SIGKILL at a step of a goal, for `killer.ts`: traces its threads by ptrace(2) and
 * looks at what it writes to its log. The daemon has no hook for this: each step that ends is one line,
 * each decision is one, and the thread that writes stands still while this program looks at it.
 *
 *   killer_main.ts PID GOAL NUMBER SYSTEM_CALLS
 *
 * The victim dies when NUMBER steps of GOAL have ended since the goal began, and its main thread has entered
 * SYSTEM_CALLS system calls after that. Prints one JSON line each: `{ "attached": THREADS }`,
 * `{ "line": "take, announce" }`, `{ "killed": SYSTEM_CALLS }`, or `{ "gone": true }`. Linux on x86-64 and arm64.
 *
 * @module
 */

import { opensGoal, stepOf } from "./log_lines.ts";

const libc = Deno.dlopen("libc.so.6", {
  ptrace: { parameters: ["i64", "i32", "usize", "buffer"], result: "i64" },
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
}).symbols;
/** The same function with a number in the place of the buffer. */
const byNumber = Deno.dlopen("libc.so.6", {
  ptrace: { parameters: ["i64", "i32", "usize", "usize"], result: "i64" },
}).symbols;

const PTRACE_SYSCALL = 24n;
const PTRACE_SEIZE = 0x4206n;
const PTRACE_INTERRUPT = 0x4207n;
const PTRACE_LISTEN = 0x4208n;
const PTRACE_GET_SYSCALL_INFO = 0x420en;
const OPTIONS = 0x1n | 0x8n; // TRACESYSGOOD, TRACECLONE
const WALL = 0x40000000;
const SYSCALL_ENTRY = 1;
const EVENT_STOP = 128;
const SIGTRAP = 5;
const WRITE = Deno.build.arch === "aarch64" ? 64n : 1n;
const WRITEV = Deno.build.arch === "aarch64" ? 66n : 20n;
/** A line of the log is cut at this length. */
const LINE_BYTES = 512;

const [pidText = "", goal = "", numberText = "0", callsText = "0"] = Deno.args;
const pid = Number(pidText);
const number = Number(numberText);
let callsLeft = Number(callsText);
/** Steps that have ended since the goal began; null: it has not begun. */
let ended: number | null = null;
let counting = false;

function main(): void {
  const threads = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => Number(name));
  for (const thread of threads) {
    if (byNumber.ptrace(PTRACE_SEIZE, thread, 0n, OPTIONS) !== 0n) continue; // it has just ended
    byNumber.ptrace(PTRACE_INTERRUPT, thread, 0n, 0n);
  }
  using memory = Deno.openSync(`/proc/${pid}/mem`, { read: true });
  print({ attached: threads.length });
  const status = new Int32Array(1);
  const info = new Uint8Array(128);
  const view = new DataView(info.buffer);
  while (true) {
    const thread = libc.waitpid(-1, new Uint8Array(status.buffer), WALL);
    if (thread < 0) return print({ gone: true });
    const value = status[0]!;
    if ((value & 0xff) !== 0x7f) continue; // a thread ended
    const signal = (value >> 8) & 0xff;
    const event = value >> 16;
    if (signal === (SIGTRAP | 0x80)) {
      libc.ptrace(PTRACE_GET_SYSCALL_INFO, thread, BigInt(info.length), info);
      if (info[0] === SYSCALL_ENTRY && isTheMoment(thread, view, memory)) {
        Deno.kill(pid, "SIGKILL");
        return print({ killed: Number(callsText) });
      }
      byNumber.ptrace(PTRACE_SYSCALL, thread, 0n, 0n);
    } else if (event === EVENT_STOP && signal !== SIGTRAP) {
      byNumber.ptrace(PTRACE_LISTEN, thread, 0n, 0n); // SIGSTOP: it shall stay stopped
    } else if (event !== 0 || signal === SIGTRAP) {
      byNumber.ptrace(PTRACE_SYSCALL, thread, 0n, 0n);
    } else {
      byNumber.ptrace(PTRACE_SYSCALL, thread, 0n, BigInt(signal)); // its own signal
    }
  }
}

function isTheMoment(thread: number, view: DataView, memory: Deno.FsFile): boolean {
  if (counting) return thread === pid && callsLeft-- <= 0;
  const call = view.getBigUint64(24, true);
  if (call !== WRITE && call !== WRITEV) return false;
  const text = writtenText(call, view, memory);
  if (text === null) return false;
  if (opensGoal(goal, text)) {
    ended = 0;
    print({ line: `${goal} begins` });
  } else {
    const step = stepOf(text);
    if (step === null || step.goal !== goal) return false;
    // A goal that began before we looked: its steps count from here.
    ended = (ended ?? 0) + 1;
    print({ line: `${step.goal}, ${step.step}` });
  }
  counting = ended >= number;
  return counting && callsLeft <= 0;
}

function writtenText(call: bigint, view: DataView, memory: Deno.FsFile): string | null {
  let at = view.getBigUint64(40, true); // second argument
  let length = view.getBigUint64(48, true);
  if (call === WRITEV) {
    const vector = readAt(memory, at, 16);
    if (vector === null) return null;
    at = vector.getBigUint64(0, true);
    length = vector.getBigUint64(8, true);
  }
  const bytes = readAt(memory, at, Math.min(LINE_BYTES, Number(length)));
  return bytes === null ? null : new TextDecoder().decode(bytes);
}

function readAt(memory: Deno.FsFile, at: bigint, length: number): DataView<ArrayBuffer> | null {
  const bytes = new Uint8Array(length);
  try {
    memory.seekSync(at, Deno.SeekMode.Start);
    const count = memory.readSync(bytes);
    return count === length ? new DataView(bytes.buffer) : null;
  } catch {
    return null; // not mapped: no line of the log
  }
}

function print(value: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
}

main();
