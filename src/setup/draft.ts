/**
 * The text of a first configuration. Pure; whether it is good, `parseConfig` says.
 *
 * @module
 */

import { formatCidr, networkAddress, parseCidr } from "../config/address.ts";

/** One network as it was asked for; texts as typed. */
export interface NetworkDraft {
  readonly name: string;
  readonly master: string;
  readonly slave: string;
  readonly prefix: string;
  /** Null: none. */
  readonly vip: string | null;
  readonly gateway: string | null;
  readonly interface: string | null;
}

/** All that a first configuration says. */
export interface Draft {
  readonly cluster: string;
  readonly preset: string;
  readonly networks: readonly NetworkDraft[];
  /** Asterisk is here: started, checked, its astdb copied (a product's preset says so by itself). */
  readonly asterisk: boolean;
  /** Name of a PostgreSQL database to copy; null: that of the preset, if it has one. */
  readonly database: string | null;
}

/** The file, with comments for those who open it next. */
export function renderConfig(draft: Draft): string {
  const hasPbx = draft.asterisk || draft.preset !== "none";
  return [
    ...[
      "# /etc/relais/relais.toml: the same file on both hosts; relais pair copies it to the other.",
      "# Every key, its default and its rules: relais.toml(5). Check a change with: relais check-config",
    ],
    ...["", "[cluster]", line("name", draft.cluster, "shown everywhere")],
    line("preset", draft.preset, 'services and data sets of a product: "xivo", "wazo"; "none"'),
    ...draft.networks.flatMap((network, index) => renderNetwork(network, index)),
    "",
    "[heartbeat]",
    line("preset", "balanced", "fast | balanced | calm (virtual machines that are live-migrated)"),
    ...services(draft),
    ...["", "[failback]"],
    line("mode", "auto", 'auto | manual | window (then also: window = "22:00-06:00")'),
    pad("stable_s = 30", "the master must be ready for so long"),
    ...(hasPbx
      ? [
        "# the service goes back when the last call ended, but not later than that:",
        'when_idle = { command = ["asterisk", "-rx", "core show channels count"], deadline_s = 600 }',
      ]
      : []),
    ...dataSets(draft),
    "",
  ].join("\n");
}

function renderNetwork(network: NetworkDraft, index: number): string[] {
  const { vip, gateway } = network;
  return [
    "",
    index === 0
      ? "[[networks]]                        # one table for each network of both hosts"
      : "[[networks]]",
    line("name", network.name),
    line(
      "master",
      network.master,
      index === 0 ? "the hosts' own addresses: so a host knows itself" : "",
    ),
    line("slave", network.slave),
    pad(`prefix = ${/^\d+$/.test(network.prefix) ? network.prefix : toml(network.prefix)}`),
    vip === null
      ? '# vip = "…"                         # none: phones must know both hosts'
      : line("vip", vip, index === 0 ? "what phones are told; moves with the service" : ""),
    ...(vip === null ? [] : routes(network, index === 0)),
    ...(gateway !== null
      ? [pad(`witnesses = [${toml(gateway)}]`, "answers as long as this network lives")]
      : []),
    ...(network.interface === null ? [] : [line("interface", network.interface)]),
  ];
}

/**
 * What leaves this host has the VIP as its source: beyond each network, and on the first one, where the
 * phones are, to the network itself, as Asterisk answers UDP from whatever address the kernel chooses.
 */
function routes({ master, prefix, gateway }: NetworkDraft, hasPhones: boolean): string[] {
  const subnet = hasPhones ? parseCidr(`${master}/${prefix}`) : null;
  const own = subnet === null
    ? null
    : formatCidr({ address: networkAddress(subnet), prefix: subnet.prefix });
  const entries = [
    ...(own === null ? [] : [`{ to = ${toml(own)} }`]),
    ...(gateway === null ? [] : [`{ to = "default", via = ${toml(gateway)} }`]),
  ];
  if (entries.length === 0) return [];
  return [
    `# answers and calls leave with the VIP as their source${
      own === null ? "" : ", also to phones here"
    }:`,
    `routes = [${entries.join(", ")}]`,
  ];
}

function services({ preset, asterisk }: Draft): string[] {
  if (preset !== "none" || !asterisk) {
    const whose = preset === "none" ? "none yet" : `those of the preset ${preset}`;
    return ["", `# [services]                        # ${whose}; see relais.toml(5)`];
  }
  return [
    ...[
      "",
      "[services]",
      pad('units = ["asterisk.service"]', "in start order; stopped in reverse"),
    ],
    pad('health = { sip = "udp:127.0.0.1:5060" }', "any SIP answer is life"),
  ];
}

function dataSets({ preset, asterisk, database }: Draft): string[] {
  const lines: string[] = [];
  if (preset === "none" && asterisk) {
    lines.push(
      ...["", "[replication.astdb]                 # registrations, forwards, DND"],
      line("path", "/var/lib/asterisk/astdb.sqlite3"),
    );
  }
  if (database !== null) {
    lines.push(...["", "[replication.database]"], line("url", `postgresql:///${database}`));
  }
  if (preset !== "none") {
    lines.push(
      "",
      `# Data sets: those of the preset ${preset}; one is switched off by, for example:`,
    );
    lines.push("# [replication.files]", "# enabled = false");
  } else if (database === null) {
    lines.push("", '# [replication.database]              # url = "postgresql:///NAME"');
    lines.push("# [replication.files]                 # paths = [...]");
  }
  return lines;
}

function line(key: string, value: string, comment = ""): string {
  return pad(`${key} = ${toml(value)}`, comment);
}

function pad(text: string, comment = ""): string {
  return comment === "" ? text : `${text.padEnd(35)} # ${comment}`;
}

/** A TOML basic string: JSON's escapes are among TOML's. */
function toml(text: string): string {
  return JSON.stringify(text).replaceAll("\x7f", "\\u007f");
}
