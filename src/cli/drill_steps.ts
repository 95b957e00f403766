/**
 * What each step of a goal would do on this host, and which checks say whether it can. The steps
 * themselves are those of `core/goals.ts`; a test holds that none of them is missing here.
 *
 * @module
 */

import { NO_HOOKS } from "../config/hooks_section.ts";
import type { HookMoment, LocalConfig } from "../config/types.ts";
import type { CheckId } from "../doctor/catalogue.ts";
import type { StatusDocument } from "../health/types.ts";
import { messageOf } from "../os/errors.ts";
import { inspectAstdb } from "../replication/receive_put.ts";
import { Spool } from "../replication/spool.ts";
import { formatAge } from "../runtime/data_sets.ts";
import { hookFaults } from "../runtime/hooks.ts";

/** What a step is judged with. */
export interface DrillContext {
  readonly config: LocalConfig;
  readonly status: StatusDocument;
  readonly stateDir: string;
  /** `PATH`, where the programs of hooks are looked up. */
  readonly path: string | undefined;
}

/** Something that speaks for or against a step. */
export interface DrillFinding {
  readonly severity: "ok" | "warning" | "failure";
  /** A sentence without its period. */
  readonly found: string;
  /** What to do; null: nothing. */
  readonly mend: string | null;
}

/** One step, before it is judged. */
export interface StepPlan {
  /** What it would do, in words; null: it has nothing to do here. */
  readonly does: string | null;
  /** Checks of the doctor that it stands or falls with. */
  readonly checks: readonly CheckId[];
  /** What no check of the doctor knows. */
  readonly look?: () => Promise<readonly DrillFinding[]> | readonly DrillFinding[];
}

type Plan = (context: DrillContext) => StepPlan;

const NOTHING: StepPlan = { does: null, checks: [] };

/** Name of a step → its plan. */
export const STEP_PLANS: Readonly<Record<string, Plan>> = {
  "acquire-right": ({ config, status }) =>
    config.arbiter === null ? NOTHING : {
      does: `acquire the right to serve from the arbiter (${config.arbiter.endpoints.join(", ")})`,
      checks: ["arbiter.endpoints", "arbiter.timing"],
      look: () => whetherArbiterAnswers(status),
    },
  "release-right": ({ config }) =>
    config.arbiter === null
      ? NOTHING
      : { does: "give the right to serve back to the arbiter", checks: ["arbiter.endpoints"] },
  "fence-peer": ({ config }) =>
    config.fencing === undefined ? NOTHING : {
      does: `switch the peer ${config.fencing.action === "off" ? "off" : "off and on"} with ` +
        `${config.fencing[config.role === "master" ? "slave" : "master"].agent}`,
      checks: ["fencing.agent", "fencing.parameters", "fencing.device"],
    },
  "persist-epoch": ({ status, stateDir }) => ({
    does: `write epoch ${status.node.epoch + 1} into ${stateDir}`,
    checks: ["disk.state"],
  }),
  "check-transport": () => ({
    does: "ask the peer, by its own word and through ssh, whether it can take the data",
    checks: ["trust.ssh", "trust.ssh_key", "trust.known_hosts"],
  }),
  "drop-vips": ({ status }) =>
    status.vips.length === 0
      ? NOTHING
      : { does: `take away ${vips(status)} from this host`, checks: [] },
  "mount-vips": ({ status }) =>
    status.vips.length === 0 ? NOTHING : {
      does: `mount ${vips(status)}`,
      checks: ["links.interface", "addresses.configured", "addresses.holder"],
      look: () => strangers(status),
    },
  "announce": ({ status }) =>
    status.vips.length === 0 ? NOTHING : {
      does: `announce ${vips(status)} to the network`,
      checks: ["firewall.arp", "addresses.arp"],
    },
  "raise-shield": ({ status }) =>
    status.shield.ports.length === 0 ? NOTHING : {
      does: `drop ${status.shield.ports.join(" ")} without a word until the services answer`,
      checks: ["tools.nft"],
    },
  "lower-shield": ({ status }) =>
    status.shield.ports.length === 0 ? NOTHING : { does: "let the phones in again", checks: [] },
  "flush-conntrack": () => ({
    does: "delete stale UDP flows of the virtual addresses",
    checks: ["tools.conntrack"],
  }),
  "open-gate": ({ config, status }) =>
    config.services.gate
      ? { does: `create ${status.gate.flag}: the services may start`, checks: ["services.gate"] }
      : NOTHING,
  "close-gate": ({ config, status }) =>
    config.services.gate
      ? {
        does: `remove ${status.gate.flag}: nothing starts the services`,
        checks: ["services.gate"],
      }
      : NOTHING,
  "start-services": ({ status }) => ({
    does: `start ${names(status)}`,
    checks: ["services.installed"],
  }),
  "stop-services": ({ status }) => ({ does: `stop ${names(status)}`, checks: [] }),
  "check-health": ({ config }) => ({
    does: config.services.health === null
      ? "no telephony check is configured: services that run are believed"
      : "wait until the telephony check says yes",
    checks: [],
  }),
  "fetch-astdb": ({ config }) =>
    config.replication.astdb === null ? NOTHING : {
      does: "ask the peer for a newer astdb, if it still answers",
      checks: [],
    },
  "install-astdb": (context) =>
    context.config.replication.astdb === null ? NOTHING : {
      does: `put the newest received astdb in place of ${context.config.replication.astdb.path}`,
      checks: [],
      look: () => newestAstdb(context),
    },
  "ready-database": ({ config }) =>
    config.replication.database === null ? NOTHING : {
      does: `make the database ${config.replication.database.name} ready to be written to`,
      checks: ["database.rights"],
    },
  "send-astdb": ({ config }) =>
    config.replication.astdb === null
      ? NOTHING
      : { does: "send the astdb at rest to the peer", checks: ["trust.ssh"] },
  "send-files": ({ config }) => {
    const paths = config.replication.files?.returnPaths ?? [];
    return paths.length === 0
      ? NOTHING
      : { does: `send what was gained in ${paths.join(", ")} to the peer`, checks: ["trust.ssh"] };
  },
  "return-database": ({ config }) =>
    config.replication.database === null ? NOTHING : {
      does: "bring back what the configuration says of the database",
      checks: ["trust.ssh", "database.rights"],
    },
  "tell-yours": () => ({
    does: "give the peer the word that the service is its own",
    checks: ["trust.key", "trust.same_key", "links.health"],
  }),
  "hooks-before-takeover": hooks("beforeTakeover"),
  "hooks-after-takeover": hooks("afterTakeover"),
  "hooks-before-handback": hooks("beforeHandback"),
  "hooks-after-handback": hooks("afterHandback"),
};

/** The plan of a step; one that nobody has written is a failure, never silence. */
export function stepPlan(name: string, context: DrillContext): StepPlan {
  const plan = Object.hasOwn(STEP_PLANS, name) ? STEP_PLANS[name] : undefined;
  return plan?.(context) ?? {
    does: `do ${name}`,
    checks: [],
    look: () => [failure(`relais cannot check the step ${name} beforehand`, "report this")],
  };
}

/** It does not work. */
export function failure(found: string, mend: string | null): DrillFinding {
  return { severity: "failure", found, mend };
}

function whetherArbiterAnswers({ arbiter }: StatusDocument): readonly DrillFinding[] {
  if (arbiter === null || arbiter.reaches) return [];
  return [failure(
    `the arbiter does not answer this host (${arbiter.lastError ?? "not asked yet"})`,
    "relais arbiter status",
  )];
}

function vips({ vips }: StatusDocument): string {
  return vips.map(({ vip }) => vip).join(", ");
}

function names({ services }: StatusDocument): string {
  return services.names.length === 0
    ? "no services: none is configured"
    : services.names.join(", ");
}

function strangers({ vips }: StatusDocument): readonly DrillFinding[] {
  return vips.filter(({ holder }) => holder === "stranger").map(({ vip, holderMac }) =>
    failure(
      `${vip} is held by a stranger (${holderMac ?? "unknown"})`,
      "take the address away from that host",
    )
  );
}

function hooks(moment: HookMoment): Plan {
  return ({ config, path }) => {
    const own = config.hooks[moment];
    if (own.length === 0) return NOTHING;
    return {
      does: `run ${own.map(({ command }) => command[0]).join(", ")}`,
      checks: [],
      look: () =>
        hookFaults({ ...NO_HOOKS, [moment]: own }, path).map((found) =>
          failure(found, "install it, or: chown root, chmod go-w")
        ),
    };
  };
}

async function newestAstdb(
  { config, status, stateDir }: DrillContext,
): Promise<readonly DrillFinding[]> {
  const [newest] = await new Spool(stateDir, "astdb").generations();
  if (newest === undefined) {
    return [failure("no astdb was ever received: the one in place is used", "relais sync astdb")];
  }
  const fault = await inspectAstdb(newest.path).then(() => null, messageOf);
  if (fault !== null) return [failure(`${newest.path}: ${fault}`, "relais sync astdb")];
  const age = status.dataSets.find((e) => e.set === "astdb" && e.direction === "received")?.ageMs;
  const old = age === null || age === undefined ? "" : `, ${formatAge(age)} old`;
  const folder = config.replication.astdb!.path.replace(/[/][^/]*$/, "") || "/";
  const isThere = await Deno.stat(folder).then((info) => info.isDirectory, () => false);
  return isThere
    ? [{ severity: "ok", found: `the newest received astdb is sound${old}`, mend: null }]
    : [failure(`${folder} does not exist here`, "install the same PBX on both hosts")];
}
