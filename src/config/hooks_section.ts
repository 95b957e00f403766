/**
 * `[hooks]`: programs of the operator's that run before and after a takeover or a hand-back, and that are
 * told of alerts.
 *
 * @module
 */

import { HOOKS_DEFAULTS, LIMITS } from "./defaults.ts";
import { readTable } from "./fields.ts";
import { asText, type IssueList } from "./issues.ts";
import type { ProductPreset } from "./presets.ts";
import { ALERT_HOOK_SHAPE, HOOK_SHAPE, HOOKS_SHAPE } from "./schema.ts";
import type { AlertHookConfig, HookConfig, HookMoment, HooksConfig } from "./types.ts";

/** The key of each moment in the file; also `RELAIS_HOOK` and the name in history and alerts. */
export const HOOK_KEYS = {
  beforeTakeover: "before_takeover",
  afterTakeover: "after_takeover",
  beforeHandback: "before_handback",
  afterHandback: "after_handback",
} as const satisfies Record<HookMoment, keyof typeof HOOKS_SHAPE>;

/** The key of the hooks that are told of alerts. */
export const ALERT_HOOK_KEY = "on_alert" satisfies keyof typeof HOOKS_SHAPE;

/** No hooks at all. */
export const NO_HOOKS: HooksConfig = {
  beforeTakeover: [],
  afterTakeover: [],
  beforeHandback: [],
  afterHandback: [],
  onAlert: [],
};

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
    const path = `hooks.${key}`;
    return readList(typed[key], path, issues).map((entry, index) => {
      const { command, deadline_s } = readTable(HOOK_SHAPE, entry, `${path}[${index}]`, issues);
      return {
        command: command ?? [],
        deadlineMs: 1000 * (deadline_s ?? HOOKS_DEFAULTS.deadlineS),
      };
    });
  };
  return {
    hooks: {
      beforeTakeover: [...always, ...read("beforeTakeover")],
      afterTakeover: [...relog, ...read("afterTakeover")],
      beforeHandback: read("beforeHandback"),
      afterHandback: read("afterHandback"),
      onAlert: readAlertHooks(typed[ALERT_HOOK_KEY], issues),
    },
    units: preset !== null && asked.includes("dhcp") ? [preset.dhcpUnit] : [],
  };
}

function readAlertHooks(section: unknown, issues: IssueList): readonly AlertHookConfig[] {
  const path = `hooks.${ALERT_HOOK_KEY}`;
  const read = readList(section, path, issues).map((entry, index): AlertHookConfig => {
    const typed = readTable(ALERT_HOOK_SHAPE, entry, `${path}[${index}]`, issues);
    return {
      command: typed.command ?? [],
      deadlineMs: 1000 * (typed.deadline_s ?? HOOKS_DEFAULTS.alertDeadlineS),
      input: typed.input ?? "text",
    };
  });
  // What was told already is remembered by command: two of the same would share it.
  const commands = read.map(({ command }) => JSON.stringify(command));
  for (const [index, command] of commands.entries()) {
    if (command === "[]" || commands.indexOf(command) === index) continue;
    issues.add(`${path}[${index}].command`, "must not be listed twice", read[index]?.command);
  }
  return read;
}

/** The entries of one list of hooks, not yet looked at. */
function readList(section: unknown, path: string, issues: IssueList): readonly unknown[] {
  if (section === undefined) return [];
  if (Array.isArray(section) && section.length <= LIMITS.hooks) return section;
  const rule = `must be a list of at most ${LIMITS.hooks} tables such as ` +
    '{ command = ["/usr/local/sbin/announce", "up"], deadline_s = 10 }';
  const got = Array.isArray(section) ? asText(`${section.length} entries`) : section;
  issues.add(path, rule, got);
  return [];
}
