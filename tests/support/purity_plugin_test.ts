import assert from "node:assert/strict";
import plugin from "./purity_plugin.ts";

const CORE = "/work/src/core/step.ts";

function findings(source: string, filename = CORE): string[] {
  return Deno.lint.runPlugin(plugin, filename, source).map(({ message }) => message);
}

/** One sample each; every one must be found. */
const BAD = [
  'const name = Deno.env.get("X");',
  "const at = Date.now();",
  "const at = new Date();",
  "const now = Date;",
  "const r = Math.random();",
  'const r = Math["random"]();',
  "const { random } = Math;",
  "const at = performance.now();",
  "setTimeout(() => {}, 1);",
  "setInterval(() => {}, 1);",
  "queueMicrotask(() => {});",
  'fetch("http://example.org/");',
  'console.log("x");',
  "export async function step(): Promise<void> {}",
  "const f = async () => 1;",
  "const o = { async f() {} };",
  "const f = async function () {};",
  "class C { async f() {} }",
  "await x;",
  "for await (const x of y) f(x);",
  "const id = crypto.randomUUID();",
  "const d = globalThis.Date;",
  "const o = { Date };",
  'const d = o[Deno.args[0] ?? ""];',
  "const p = Promise.resolve(1);",
  'import { run } from "../os/process.ts";',
  'import type { Config } from "../config/types.ts";',
  'import { z } from "zod";',
  'import fs from "node:fs";',
  'import x from "./../os/log.ts";',
  'export * from "../os/log.ts";',
  'export { log } from "../os/log.ts";',
  'const m = import("./types.ts");',
  "const here = import.meta.url;",
  "process.exit(1);",
  'eval("1");',
];

for (const source of BAD) {
  Deno.test(`the purity gate refuses ${source}`, () => {
    assert.notDeepEqual(findings(source), []);
  });
}

const GOOD = `
  import type { Role } from "./types.ts";
  export { STATE_NAMES } from "./types.ts";
  export interface Stamp { readonly Date: number; fetch(): void }
  export function step(role: Role, nowMs: number): number {
    const o = { performance: 1, console: 2 };
    const local = o.performance + o.console;
    return Math.max(local, Math.floor(nowMs)) + role.length;
  }
  export class Detector {
    readonly #seen = new Map<string, number>();
    process = 1;
    hear(link: string, at: number): void { this.#seen.set(link, at); }
  }
`;

Deno.test("the purity gate lets pure code pass", () => {
  assert.deepEqual(findings(GOOD), []);
});

Deno.test("the purity gate looks at src/core only, and not at its tests", () => {
  const source = "const at = Date.now();";
  assert.equal(findings(source, "/work/src/core/step_test.ts").length, 0);
  assert.equal(findings(source, "/work/src/runtime/loop.ts").length, 0);
  assert.notEqual(findings(source, "/work/src/core/deep/table.ts").length, 0);
});
