import assert from "node:assert/strict";
import { localConfig, parseConfig } from "../../src/config/load.ts";
import { relaisToml } from "../support/relais_config.ts";
import { boundOf, terms } from "../sim/bounds.ts";
import { KIND_FACTS, REAL_KINDS, realBound } from "./kinds.ts";

const config = localConfig(
  parseConfig(relaisToml({ heartbeat: ['preset = "fast"'] })),
  "master",
);

Deno.test("the bounds of real faults are those of the simulation", () => {
  for (const kind of REAL_KINDS) {
    const bound = realBound(kind, config);
    const simulated = boundOf(KIND_FACTS[kind].like, config);
    assert.equal(bound.doubleAfter, simulated.double, kind);
    assert.ok(bound.doubleDuring === null || bound.doubleDuring <= simulated.double, kind);
    if (KIND_FACTS[kind].none === "simulated") assert.equal(bound.none, simulated.none, kind);
  }
  assert.equal(realBound("kill", config).none, 0);
  assert.equal(realBound("power", config).none, terms(config).takeover);
  assert.equal(realBound("power", config).doubleDuring, 0);
  assert.equal(realBound("cable", config).doubleDuring, 0);
  assert.equal(realBound("cable", config).doubleAfter, terms(config).heal);
  assert.equal(realBound("split", config).doubleDuring, null);
});
