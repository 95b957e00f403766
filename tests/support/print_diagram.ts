/**
 * Writes docs/state-diagram.md from the decision table: `deno run -A tests/support/print_diagram.ts`.
 *
 * @module
 */

import { printStateDiagram } from "../../src/core/diagram.ts";
import { RULES } from "../../src/core/transitions.ts";

const page = new URL("../../docs/state-diagram.md", import.meta.url);
await Deno.writeTextFile(page, printStateDiagram(RULES));
console.log(`wrote ${page.pathname}`);
