/**
 * The decision table (DESIGN section 4). Rows are read from the top, the first that matches wins. The
 * state diagram in docs/state-diagram.md is printed from here.
 *
 * @module
 */

import type { Rule } from "./rule.ts";
import { OPERATOR_RULES } from "./transitions_operator.ts";
import {
  FAILED_RULES,
  ISOLATED_RULES,
  REJOINING_RULES,
  STANDBY_RULES,
  START_RULES,
  WAITING_RULES,
} from "./transitions_rest.ts";
import { SAFETY_RULES } from "./transitions_safety.ts";
import { FENCING_RULES } from "./transitions_fencing.ts";
import { ACTIVE_RULES, HANDING_RULES, TAKING_RULES } from "./transitions_serving.ts";

/** The table. Safety first, then the operator, then what each state is about. */
export const RULES: readonly Rule[] = [
  ...SAFETY_RULES,
  ...OPERATOR_RULES,
  ...START_RULES,
  ...REJOINING_RULES,
  ...STANDBY_RULES,
  ...FENCING_RULES,
  ...TAKING_RULES,
  ...ACTIVE_RULES,
  ...HANDING_RULES,
  ...ISOLATED_RULES,
  ...WAITING_RULES,
  ...FAILED_RULES,
];
