/**
 * Holds the layout of DESIGN section 10: imports go one way, files stay short and about one thing, and
 * the doors to the outside (programs, exit, kernel files) are where they are said to be.
 *
 * @module
 */

import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };

const SRC = new URL("../src/", import.meta.url);

/** Lines of code (no comments, no empty lines) that a file of src may have; tests may be longer. */
const MAX_LINES = 400;

/** What every part may know besides itself and npm packages. */
const COMMON = ["core/types.ts", "config/", "os/"];

/** Part of src → what it may import from other parts: folders end in `/`. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  os: [],
  config: ["core/types.ts", "os/"],
  vip: COMMON,
  arp: COMMON,
  heartbeat: COMMON,
  services: COMMON,
  fencing: COMMON,
  replication: COMMON,
  health: COMMON,
  arbiter: COMMON,
  setup: [...COMMON, "vip/iproute.ts", "vip/mark.ts"],
  pairing: [...COMMON, "replication/", "heartbeat/key.ts", "build_info.ts"],
  runtime: [
    ...[
      "core/",
      "config/",
      "os/",
      "vip/",
      "arp/",
      "heartbeat/",
      "services/",
      "replication/",
      "health/",
      "fencing/",
      "arbiter/",
    ],
    "build_info.ts",
  ],
  // Looks at everything, decides nothing: it may know the parts, not what runs them.
  doctor: [
    ...COMMON,
    ...["vip/", "arp/", "heartbeat/", "services/", "replication/", "health/", "fencing/"],
    "arbiter/",
    ...["runtime/preflight.ts", "runtime/paths.ts"],
  ],
  cli: ["*"],
  "main.ts": ["*"],
  "build_info.ts": ["../deno.json"],
};

/** Imports that the table forbids and that are right all the same. */
const EXCEPTIONS: readonly {
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}[] = [
  {
    from: "heartbeat/http_probe.ts",
    to: "health/types.ts",
    reason: "it parses the very body that the peer's health page sends: one contract, one place",
  },
  {
    from: "heartbeat/message.ts",
    to: "health/types.ts",
    reason: "why a message is refused is counted by the names of the status document",
  },
];

/** Where something may be used, as a pattern of paths in src, and why only there. */
const DOORS: readonly { readonly uses: RegExp; readonly only: RegExp; readonly reason: string }[] =
  [
    {
      uses: /\bnew Deno\.Command\(|node:child_process/,
      only: /^os\/process\.ts$/,
      reason: "argument lists, deadlines and missing tools are handled there",
    },
    {
      uses: /\bDeno\.exit\(|\bprocess\.exit\(/,
      only: /^main\.ts$/,
      reason: "an end elsewhere would leave VIPs mounted",
    },
    {
      uses: /\baddSignalListener\(/,
      only: /^main\.ts$/,
      reason: "all signals end in one AbortController",
    },
    {
      uses: /\bDate\.now\(|\bnew Date\(\)/,
      // spool.ts compares it with the times of files, which are wall time too.
      only: /^(os\/clock|replication\/spool)\.ts$/,
      reason: "wall time is for people, never for timers, and tests replace the clock",
    },
    {
      uses: /\bconsole\.(log|info|warn|debug)\(/,
      only: /^(main\.ts$|cli\/)/,
      reason: "the daemon speaks through os/log.ts",
    },
    {
      uses: /\bDeno\.(open|read(Text)?File)(Sync)?\(\s*["'`]\/(proc|sys)\//,
      only: /^$/,
      reason: "Deno refuses /proc and /sys without --allow-all: use os/kernel_file.ts",
    },
  ];

interface Source {
  /** Path within src, e.g. `vip/plan.ts`. */
  readonly path: string;
  /** Without comments. */
  readonly code: string;
  /** All that it imports, as written. */
  readonly imports: readonly string[];
  /** Those that are still there at run time. */
  readonly valueImports: readonly string[];
}

/** Tests and what only they use may reach anywhere. */
function isTest(path: string): boolean {
  return /_(test|testing|fixture)\.ts$/.test(path);
}

function* walk(folder: URL, prefix = ""): Generator<string> {
  for (const entry of Deno.readDirSync(folder)) {
    if (entry.isDirectory) {
      yield* walk(new URL(`${entry.name}/`, folder), `${prefix}${entry.name}/`);
    } else if (entry.name.endsWith(".ts") || entry.name.endsWith(".tsx")) yield prefix + entry.name;
  }
}

/** `import … from "x"`, `import "x"`, `export … from "x"` at the start of a line. */
const STATEMENT = /^(import|export)\b(\s+type\b)?(?:[^;"'=]*?\bfrom)?\s*["']([^"']+)["']/gm;
/** `import("x")`. */
const DYNAMIC = /\bimport\(\s*["']([^"']+)["']/g;

/** `import { a, type B as C } from "x"`, `import * as x from "x"`; also `export`. */
const IMPORTED_NAMES =
  /^(?:import|export)\s+(?:type\s+)?(?:(\*)[^;"]*|\{([^}]*)\})\s*from\s+"(\.[^"]*)"/gm;
/** A value that a file exports. */
const EXPORTED_VALUE = /^export (?:abstract |async )*(?:function\*?|const|let|class) (\w+)/gm;

function readSource(path: string): Source {
  const text = Deno.readTextFileSync(new URL(path, SRC));
  // Whole-line comments only: enough for code that deno fmt wrote, and never eats a string.
  const code = text.replaceAll(/^\s*(\/\*[\s\S]*?\*\/|\/\/.*)$/gm, "");
  const statements = [...code.matchAll(STATEMENT)];
  const dynamic = [...code.matchAll(DYNAMIC)].map((match) => match[1] ?? "");
  const values = statements.filter((match) => match[2] === undefined);
  return {
    path,
    code,
    imports: [...statements.map((match) => match[3] ?? ""), ...dynamic],
    valueImports: [...values.map((match) => match[3] ?? ""), ...dynamic],
  };
}

const SOURCES = [...walk(SRC)].sort().map(readSource);
const PRODUCT = SOURCES.filter(({ path }) => !isTest(path));

/** A relative import as a path within src (`../deno.json` stays as it is). */
function resolve(from: string, specifier: string): string {
  const url = new URL(specifier, new URL(from, SRC)).href;
  return url.startsWith(SRC.href) ? url.slice(SRC.href.length) : `../${url.split("/").pop()}`;
}

function relative(source: Source, imports: readonly string[] = source.imports): string[] {
  return imports.filter((specifier) => specifier.startsWith("."))
    .map((specifier) => resolve(source.path, specifier));
}

function allowed(from: string, to: string): boolean {
  const part = from.split("/")[0] ?? "";
  if (to.startsWith(`${part}/`)) return true;
  if (EXCEPTIONS.some((exception) => exception.from === from && exception.to === to)) return true;
  return (MAY_IMPORT[part] ?? []).some((may) =>
    may === "*" || may === to || (may.endsWith("/") && to.startsWith(may))
  );
}

Deno.test("src has sources to judge", () => {
  assert.ok(PRODUCT.length > 10 && PRODUCT.some(({ imports }) => imports.length > 2));
});

Deno.test("every part of src is in the layout", () => {
  const unknown = PRODUCT.map(({ path }) => path.split("/")[0] ?? "")
    .filter((part) => !Object.hasOwn(MAY_IMPORT, part));
  assert.deepEqual([...new Set(unknown)], [], "say in MAY_IMPORT what these may know");
});

Deno.test("imports go one way (DESIGN section 10)", () => {
  const wrong = PRODUCT.flatMap((source) =>
    relative(source).filter((to) => !allowed(source.path, to)).map((to) => `${source.path} → ${to}`)
  );
  assert.deepEqual(wrong, []);
});

Deno.test("the product imports no test code", () => {
  const wrong = PRODUCT.flatMap((source) =>
    relative(source).filter(isTest).map((to) => `${source.path} → ${to}`)
  );
  assert.deepEqual(wrong, []);
});

Deno.test("packages come from the import map, built-ins from node:", () => {
  const packages = Object.keys(config.imports);
  const wrong = SOURCES.flatMap(({ path, imports }) =>
    imports.filter((specifier) =>
      !specifier.startsWith(".") && !specifier.startsWith("node:") &&
      !packages.some((name) => specifier === name || specifier.startsWith(`${name}/`))
    ).map((specifier) => `${path} → ${specifier}`)
  );
  assert.deepEqual(wrong, []);
  for (const [name, version] of Object.entries(config.imports)) {
    assert.match(version, /^npm:.+@\d+\.\d+\.\d+$/, `${name} must be pinned and come from npm`);
  }
});

Deno.test("no file imports itself in a circle (types aside: they are gone at run time)", () => {
  const graph = new Map(
    PRODUCT.map((source) => [source.path, relative(source, source.valueImports)]),
  );
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    assert.ok(!trail.includes(path), `circle: ${[...trail, path].join(" → ")}`);
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
});

Deno.test(`no file of the product has more than ${MAX_LINES} lines of code`, () => {
  const count = (code: string): number => code.split("\n").filter((line) => line.trim()).length;
  const long = PRODUCT.map(({ path, code }) => ({ path, lines: count(code) }))
    .filter(({ lines }) => lines > MAX_LINES);
  assert.deepEqual(long, []);
});

Deno.test("a unit test stands beside what it tests", () => {
  // It imports a file of its own folder, or shares the first word of its name: database_failure_test.ts
  // works on database_dump.ts, database_install.ts, … through a helper.
  const folder = (path: string): string => path.slice(0, path.lastIndexOf("/") + 1);
  const subject = (path: string): string => folder(path) + path.split("/").pop()?.split(/[_.]/)[0];
  const subjects = new Set(PRODUCT.map(({ path }) => subject(path)));
  const alone = SOURCES.filter(({ path }) =>
    path.endsWith("_test.ts") && !subjects.has(subject(path))
  )
    .filter((source) =>
      !relative(source).some((to) => !isTest(to) && folder(to) === folder(source.path))
    );
  assert.deepEqual(alone.map(({ path }) => path), []);
});

Deno.test("every function, constant and class that src exports is imported somewhere", () => {
  // Types may be exported for the sake of a signature alone. Tests count: they import what they prove.
  const everywhere = ["src/", "tests/", "packaging/completions/"].flatMap((folder) => {
    const root = new URL(`../${folder}`, import.meta.url);
    return [...walk(root)].map((path) => new URL(path, root));
  });
  const imported = new Set<string>();
  for (const file of everywhere) {
    const text = Deno.readTextFileSync(file);
    const from = (specifier = ""): string => new URL(specifier, file).href;
    for (const [, all, list = "", specifier] of text.matchAll(IMPORTED_NAMES)) {
      const names = all === undefined
        ? list.split(",").map((one) => one.trim().replace(/^type /, "").split(" ")[0] ?? "")
        : ["*"];
      for (const name of names) imported.add(`${from(specifier)} ${name}`);
    }
    for (const [, specifier] of text.matchAll(DYNAMIC)) imported.add(`${from(specifier)} *`);
  }
  const alone = PRODUCT.flatMap(({ path, code }) => {
    const file = new URL(path, SRC).href;
    if (imported.has(`${file} *`)) return [];
    return [...code.matchAll(EXPORTED_VALUE)].map(([, name = ""]) => name)
      .filter((name) => !imported.has(`${file} ${name}`)).map((name) => `${path}: ${name}`);
  });
  assert.deepEqual(alone, [], "take the word export away, or what nobody uses at all");
});

Deno.test("file names are snake_case", () => {
  assert.deepEqual(SOURCES.filter(({ path }) => !/^[a-z0-9_/]+\.tsx?$/.test(path)), []);
});

for (const { uses, only, reason } of DOORS) {
  Deno.test(`${uses.source} stands in ${only.source} only: ${reason}`, () => {
    const wrong = PRODUCT.filter(({ path, code }) => uses.test(code) && !only.test(path));
    assert.deepEqual(wrong.map(({ path }) => path), []);
  });
}

/** The scope of one permission of the compiled program. */
function compiledScope(flag: string): string[] {
  const file = new URL("../packaging/toolchain/permissions.txt", import.meta.url);
  const line = Deno.readTextFileSync(file).split("\n").find((text) => text.startsWith(`${flag}=`));
  assert.ok(line !== undefined, `permissions.txt has no ${flag}=`);
  return line.slice(flag.length + 1).replace(/\s.*/, "").split(",");
}

/** The first group of every match of `pattern` in the product, without doubles. */
function used(pattern: RegExp): string[] {
  const found = PRODUCT.flatMap(({ code }) => [...code.matchAll(pattern)].map((m) => m[1] ?? ""));
  return [...new Set(found)].sort();
}

Deno.test("every environment variable that src reads is in permissions.txt", () => {
  const scope = compiledScope("--allow-env");
  const read = used(/\b(?:Deno\.env\.(?:get|has)\(\s*["']|process\.env\.)(\w+)/g);
  assert.ok(read.length > 0);
  assert.deepEqual(read.filter((name) => !scope.includes(name)), []);
  assert.deepEqual(used(/\b(Deno\.env\.toObject|Deno\.env\.get\([^"'])/g), [], "name them");
});

Deno.test("every fact about the system that src asks Deno for is in permissions.txt", () => {
  const scope = compiledScope("--allow-sys");
  const asked = [
    ...used(
      /\bDeno\.(networkInterfaces|hostname|osUptime|osRelease|systemMemoryInfo|loadavg|uid|gid)\(/g,
    ),
    // By way of node:fs and node:os; statfs is a fact about the system to Deno.
    ...used(/\b(statfs|userInfo|networkInterfaces|hostname|uptime|loadavg|totalmem|freemem)\(/g)
      .map((name) => ({ uptime: "osUptime", totalmem: "systemMemoryInfo" })[name] ?? name),
  ];
  assert.ok(asked.length > 0);
  assert.deepEqual(asked.filter((name) => !scope.includes(name)), []);
});

Deno.test("every exception is still needed", () => {
  for (const { from, to } of EXCEPTIONS) {
    const source = PRODUCT.find(({ path }) => path === from);
    assert.ok(source !== undefined && relative(source).includes(to), `${from} → ${to}`);
  }
});
