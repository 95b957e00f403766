/**
 * The purity gate: a lint plugin (deno.json, `lint.plugins`) that keeps `src/core` free of I/O, time,
 * randomness and concurrency, so that a decision depends on its arguments alone. The second gate is
 * `deno check` of the core with the language's library only (packaging/toolchain/check.sh).
 *
 * Tests beside the core may use what they need.
 *
 * @module
 */

/** Names that must not be used at all, and what to do instead. */
const BANNED: Readonly<Record<string, string>> = {
  Deno: "ask for it as an action, or take it in the observation",
  process: "ask for it as an action, or take it in the observation",
  globalThis: "take what is needed as an argument",
  Date: "take the time as an argument (milliseconds, monotonic)",
  performance: "take the time as an argument (milliseconds, monotonic)",
  Temporal: "take the time as an argument (milliseconds, monotonic)",
  setTimeout: "return when it is due; the runtime waits",
  setInterval: "return when it is due; the runtime waits",
  setImmediate: "return when it is due; the runtime waits",
  queueMicrotask: "the core has no later",
  Promise: "the core has no later",
  fetch: "ask for it as an action",
  WebSocket: "ask for it as an action",
  Worker: "ask for it as an action",
  console: "return the reason; the runtime logs it",
  crypto: "take random values as an argument",
  eval: "write it out",
  Function: "write it out",
};

/** The file is part of the core and no test. */
function isCore(filename: string): boolean {
  return /\/src\/core\//.test(filename) && !filename.endsWith("_test.ts");
}

/** `import`s of the core: only its own neighbours, by a relative path that stays inside. */
function staysInside(specifier: string): boolean {
  return /^\.\/(?!.*\.\.)[\w./]+\.ts$/.test(specifier);
}

/** The identifier is a value or type that refers to something, not the name of a property. */
function refers(node: Deno.lint.Identifier): boolean {
  const parent = node.parent;
  switch (parent.type) {
    case "MemberExpression":
      return parent.object === node || parent.computed;
    case "Property":
      return parent.value === node || parent.computed || parent.shorthand;
    case "TSPropertySignature":
    case "TSMethodSignature":
    case "PropertyDefinition":
    case "MethodDefinition":
      return parent.key !== node || parent.computed;
    default:
      return true;
  }
}

function pure(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  if (!isCore(context.filename)) return {};
  const report = (node: Deno.lint.Node, message: string, hint?: string): void =>
    context.report({ node, message, ...(hint === undefined ? {} : { hint }) });
  const module = (node: Deno.lint.Node, source: Deno.lint.StringLiteral | null): void => {
    if (source !== null && !staysInside(source.value)) {
      report(node, `Cannot import "${source.value}" into src/core: it knows its own files only`);
    }
  };
  const later = (node: Deno.lint.Node): void =>
    report(node, "Cannot wait in src/core: it has no later", "return an action");
  return {
    Identifier(node): void {
      const instead = Object.hasOwn(BANNED, node.name) ? BANNED[node.name] : undefined;
      if (instead !== undefined && refers(node)) {
        report(node, `Cannot use ${node.name} in src/core: it must stay pure`, instead);
      }
    },
    MemberExpression(node): void {
      const { object, property } = node;
      const named = property.type === "Identifier" ? property.name : "";
      const literal = property.type === "Literal" ? property.value : "";
      if (
        object.type === "Identifier" && object.name === "Math" &&
        (named === "random" || literal === "random")
      ) {
        report(
          node,
          "Cannot use Math.random in src/core: it must stay pure",
          "take it as an argument",
        );
      }
    },
    VariableDeclarator(node): void {
      if (
        node.init?.type === "Identifier" && node.init.name === "Math" &&
        node.id.type !== "Identifier"
      ) {
        report(node, "Cannot take Math apart in src/core: write Math.max(…) and the like");
      }
    },
    ImportDeclaration: (node) => module(node, node.source),
    ExportNamedDeclaration: (node) => module(node, node.source),
    ExportAllDeclaration: (node) => module(node, node.source),
    ImportExpression: (node) => report(node, "Cannot import at run time in src/core"),
    AwaitExpression: later,
    FunctionDeclaration(node): void {
      if (node.async) later(node);
    },
    FunctionExpression(node): void {
      if (node.async) later(node);
    },
    ArrowFunctionExpression(node): void {
      if (node.async) later(node);
    },
    ForOfStatement(node): void {
      if (node.await) later(node);
    },
    MetaProperty(node): void {
      if (node.meta.name === "import") {
        report(node, "Cannot use import.meta in src/core: it must stay pure");
      }
    },
  };
}

const plugin: Deno.lint.Plugin = {
  name: "relais",
  rules: { "pure-core": { create: pure } },
};

export default plugin;
