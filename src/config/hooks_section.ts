/**
 * `[hooks]`: programs of the operator's that run before and after a takeover or a hand-back.
 *
 * @module
 */

import { HOOKS_DEFAULTS, LIMITS } from "./defaults.ts";
import { readTable } from "./fields.ts";
import { asText, type IssueList } from "./issues.ts";
import type { ProductPreset } from "./presets.ts";
import { HOOK_SHAPE, HOOKS_SHAPE } from "./schema.ts";
import type { HookConfig, HookMoment, HooksConfig } from "./types.ts";

/** The key of each moment in the file; also `RELAIS_HOOK` and the name in history and alerts. */
export const HOOK_KEYS = {
  beforeTakeover: "before_takeover",
  afterTakeover: "after_takeover",
  beforeHandback: "before_handback",
  afterHandback: "after_handback",
} as const satisfies Record<HookMoment, keyof typeof HOOKS_SHAPE>;

/** What `[hooks]` says. */
export interface HooksSection {
  readonly hooks: HooksConfig;
  /** Units that `hooks.presets` adds to the services. */
  readonly units: readonly string[];
}

/** Reads `[hooks]`, and adds what the product needs; what was wrong is in `issues` and the result is then not to be used. */
export function readHooks(
  section: unknown,
  preset: ProductPreset | null,
  issues: IssueList,
): HooksSection {
  const typed = readTable(HOOKS_SHAPE, section ?? {}, "hooks", issues);
  const asked = typed.presets ?? [];
  if (asked.length > 0 && preset === null) {
    const rule = 'must not be given unless cluster.preset is "xivo" or "wazo"';
    issues.add("hooks.presets", rule, typed.presets);
  }
  const always = (preset?.beforeTakeover ?? []).map((command): HookConfig => ({
    command,
    deadlineMs: 1000 * HOOKS_DEFAULTS.deadlineS,
  }));
  const relog: HookConfig[] = preset === null || !asked.includes("agents-relog") ? [] : [{
    command: preset.agentsRelog,
    deadlineMs: 1000 * HOOKS_DEFAULTS.agentsRelogDeadlineS,
  }];
  const read = (moment: HookMoment): readonly HookConfig[] => {
    const key = HOOK_KEYS[moment];
    return readList(typed[key], `hooks.${key}`, issues);
  };
  return {
    hooks: {
      beforeTakeover: [...always, ...read("beforeTakeover")],
      afterTakeover: [...relog, ...read("afterTakeover")],
      beforeHandback: read("beforeHandback"),
      afterHandback: read("afterHandback"),
    },
    units: preset !== null && asked.includes("dhcp") ? [preset.dhcpUnit] : [],
  };
}

function readList(section: unknown, path: string, issues: IssueList): readonly HookConfig[] {
  if (section === undefined) return [];
  if (!Array.isArray(section) || section.length > LIMITS.hooks) {
    const rule = `must be a list of at most ${LIMITS.hooks} tables such as ` +
      '{ command = ["/usr/local/sbin/announce", "up"], deadline_s = 10 }';
    const got = Array.isArray(section) ? asText(`${section.length} entries`) : section;
    issues.add(path, rule, got);
    return [];
  }
  return section.map((entry: unknown, index) => {
    const typed = readTable(HOOK_SHAPE, entry, `${path}[${index}]`, issues);
    return {
      command: typed.command ?? [],
      deadlineMs: 1000 * (typed.deadline_s ?? HOOKS_DEFAULTS.deadlineS),
    };
  });
}
