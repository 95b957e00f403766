/**
 * `GET /metrics`: the status in the Prometheus text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Names follow its conventions: base
 * units (seconds, bytes), `_total` for counters. A value that is not known is left out, never 0.
 *
 * @module
 */

import { STATE_NAMES } from "../core/types.ts";
import { REFUSAL_REASONS, type StatusDocument } from "./types.ts";

type Labels = Readonly<Record<string, string>>;

/** One sample: its labels, and its value or null when it is not known. */
type Sample = readonly [labels: Labels, value: number | boolean | null];

/** One metric with all its samples. */
interface Metric {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly samples: readonly Sample[];
}

const VERDICTS = ["unknown", "alive", "suspect", "dead"] as const;

/** The whole answer of `GET /metrics`. */
export function renderMetrics(status: StatusDocument): string {
  const metrics = [
    ...nodeMetrics(status),
    ...peerMetrics(status),
    ...linkMetrics(status),
    ...vipMetrics(status),
    ...dataSetMetrics(status),
    ...streamMetrics(status),
    ...arbiterMetrics(status),
    ...verificationMetrics(status),
    ...fencingMetrics(status),
    ...counterMetrics(status),
  ];
  return metrics.map(renderMetric).join("");
}

function renderMetric({ name, type, help, samples }: Metric): string {
  const lines = samples.flatMap(([labels, value]) =>
    value === null ? [] : [`${name}${renderLabels(labels)} ${Number(value)}\n`]
  );
  if (lines.length === 0) return "";
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name: `relais_${name}`, type: "gauge", help, samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name: `relais_${name}_total`, type: "counter", help, samples };
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}

function nodeMetrics(
  { node, services, gate, shield, goal, loop, ...status }: StatusDocument,
): Metric[] {
  return [
    gauge("info", "Always 1; what runs here is in the labels.", [[{
      role: node.role,
      version: node.version,
      cluster: node.clusterName,
      fingerprint: node.configFingerprint,
    }, 1]]),
    gauge(
      "state",
      "1 for the state the node is in, 0 for the others.",
      STATE_NAMES.map((state) => [{ state }, node.state === state]),
    ),
    gauge("state_age_seconds", "Time in this state.", [[{}, seconds(node.stateForMs)]]),
    gauge("epoch", "Raised at each takeover.", [[{}, node.epoch]]),
    gauge("uptime_seconds", "Age of the daemon.", [[{}, seconds(node.uptimeMs)]]),
    gauge("fit", "1 if the node could serve or serves well.", [[{}, status.fit]]),
    gauge("ready", "1 if the node can be handed the service.", [[{}, status.ready]]),
    gauge("isolated", "1 if neither the peer nor a witness is heard.", [[{}, status.isolated]]),
    gauge("maintenance", "1 in maintenance.", [[{}, status.maintenance]]),
    gauge("alerts", "Alerts an operator should read in the status.", [[{}, status.alerts.length]]),
    gauge("goal_running", "1 while the node works on the goal of the label.", [
      ...(goal === null ? [] : [[{ goal: goal.name }, 1] satisfies Sample]),
    ]),
    gauge("services_running", "1 if all services run, 0 if none, 0.5 between.", [
      [{}, { unknown: null, none: 0, some: 0.5, all: 1 }[services.running]],
    ]),
    gauge("services_healthy", "1 if the telephony check passes.", [[{}, services.healthy]]),
    gauge("gate_installed", "1 if every unit is behind the gate that shall be.", [
      [{}, gate.installed],
    ]),
    gauge("gate_open", "1 if the services may start.", [[{}, gate.open]]),
    gauge("shield_up", "1 while SIP is dropped, as services start or stop.", [[{}, shield.up]]),
    gauge("loop_lag_seconds", "How late the daemon's loop was last.", [[{}, seconds(loop.lagMs)]]),
  ];
}

function peerMetrics({ peer }: StatusDocument): Metric[] {
  return [
    gauge(
      "peer_verdict",
      "1 for what the failure detector says of the peer.",
      VERDICTS.map((verdict) => [{ verdict }, peer.verdict === verdict]),
    ),
    gauge("peer_silent_seconds", "Since the peer was last heard on any link.", [
      [{}, seconds(peer.silentForMs)],
    ]),
    gauge("peer_fit", "1 if the peer says that it could serve or serves well.", [
      [{}, peer.report?.fit ?? null],
    ]),
    gauge("peer_epoch", "The epoch that the peer reports.", [[{}, peer.report?.epoch ?? null]]),
    gauge("peer_config_matches", "1 if both nodes have the same configuration.", [
      [{}, peer.configMatches],
    ]),
  ];
}

function linkMetrics({ links }: StatusDocument): Metric[] {
  const signals = links.flatMap(({ network, icmp, http }) => [
    { labels: { network, signal: "icmp" }, of: icmp },
    { labels: { network, signal: "http" }, of: http },
  ]);
  return [
    gauge(
      "link_carrier",
      "1 if the interface of the network is up and has carrier.",
      links.map(({ network, carrier }) => [{ network }, carrier]),
    ),
    gauge(
      "link_reply_age_seconds",
      "Since the peer last answered.",
      signals.map(({ labels, of }) => [labels, seconds(of.lastReplyAgoMs)]),
    ),
    gauge(
      "link_rtt_seconds",
      "Round trip of the last answer.",
      signals.map(({ labels, of }) => [labels, seconds(of.rttMs)]),
    ),
    counter("link_sent", "Questions sent.", signals.map(({ labels, of }) => [labels, of.sent])),
    counter(
      "link_received",
      "Answers received.",
      signals.map(({ labels, of }) => [labels, of.received]),
    ),
    gauge(
      "witness_reply_age_seconds",
      "Since a witness last answered.",
      links.flatMap(({ network, witnesses }) =>
        witnesses.map((
          { address, lastReplyAgoMs },
        ) => [{ network, address }, seconds(lastReplyAgoMs)] satisfies Sample)
      ),
    ),
  ];
}

function vipMetrics({ vips }: StatusDocument): Metric[] {
  return [
    gauge(
      "vip_held",
      "1 if this node holds the VIP.",
      vips.map(({ vip, network, heldByMe }) => [{ vip, network }, heldByMe]),
    ),
    gauge(
      "vip_holder",
      "1 for who answers for the VIP.",
      vips.map(({ vip, network, holder }) => [{ vip, network, holder }, 1]),
    ),
  ];
}

function dataSetMetrics({ dataSets }: StatusDocument): Metric[] {
  const of = (
    pick: (set: StatusDocument["dataSets"][number]) => number | boolean | null,
  ): Sample[] => dataSets.map((d) => [{ set: d.set, direction: d.direction }, pick(d)]);
  return [
    gauge("data_set_age_seconds", "Age of the last good copy.", of((d) => seconds(d.ageMs))),
    gauge("data_set_size_bytes", "Size of the last good copy.", of((d) => d.size)),
    gauge(
      "data_set_duration_seconds",
      "How long the last good copy took.",
      of((d) => seconds(d.durationMs)),
    ),
    gauge("data_set_failing", "1 if the last copy failed.", of((d) => d.lastError !== null)),
    gauge("data_set_running", "1 while a copy runs.", of((d) => d.running !== null)),
    gauge(
      "data_set_snapshot_timestamp_seconds",
      "When the last good copy was read, on the clock of the host that it came from.",
      of((d) => unixSeconds(d.snapshot)),
    ),
    gauge(
      "data_set_last_success_timestamp_seconds",
      "When the last good copy ended, on the clock of this host.",
      of((d) => unixSeconds(d.lastSuccessAt)),
    ),
    gauge("data_set_epoch", "Epoch of the last good copy.", of((d) => d.epoch)),
    gauge(
      "data_set_rate_bytes_per_second",
      "Size of the last good copy by its duration.",
      of((d) => d.bytesPerSecond),
    ),
    gauge(
      "data_set_last_failure_timestamp_seconds",
      "When the last copy failed; gone after a good one.",
      of((d) => unixSeconds(d.lastErrorAt)),
    ),
    gauge("data_set_next_run_seconds", "Until the next copy.", of((d) => seconds(d.nextRunInMs))),
    gauge(
      "data_set_running_total_bytes",
      "What the running copy has to move, if it is known.",
      of((d) => d.running?.totalBytes ?? null),
    ),
    gauge(
      "data_set_running_bytes",
      "Bytes done in the phase of the copy that runs.",
      of((d) => d.running?.doneBytes ?? null),
    ),
    gauge(
      "data_set_running_bytes_per_second",
      "Rate of the copy that runs.",
      of((d) => d.running?.bytesPerSecond ?? null),
    ),
    gauge(
      "data_set_running_tables",
      "Tables whose rows have arrived, of the copy that runs.",
      of((d) => d.running?.tablesDone ?? null),
    ),
    gauge(
      "data_set_running_remaining_seconds",
      "Estimated rest of the phase of the copy that runs.",
      of((d) => seconds(d.running?.remainingMs ?? null)),
    ),
    gauge(
      "data_set_max_age_seconds",
      "The age at which a copy is an alarm.",
      of((d) => seconds(d.maxAgeMs)),
    ),
    gauge("data_set_too_old", "1 if the copy is older than it may be.", of((d) => d.tooOld)),
    counter("copies", "Copies that went well.", of((d) => d.successes)),
    counter("copy_failures", "Copies that failed.", of((d) => d.failures)),
  ];
}

function streamMetrics({ stream }: StatusDocument): Metric[] {
  if (stream === null) return [];
  return [
    gauge("stream_state", "1 for the state of the database's stream.", [
      [{ state: stream.state }, 1],
    ]),
    gauge("stream_lag_seconds", "Age of the oldest change that the slave has not applied.", [
      [{}, seconds(stream.lagMs)],
    ]),
    gauge("stream_lag_bytes", "Bytes of log that the slave has not applied.", [
      [{}, stream.lagBytes],
    ]),
    gauge("stream_synchronous", "1 while commits wait for the slave.", [[{}, stream.synchronous]]),
    counter("stream_reseeds", "New copies that a fault of the stream made necessary.", [
      [{}, stream.reseeds],
    ]),
  ];
}

function fencingMetrics({ fencing }: StatusDocument): Metric[] {
  if (fencing === null) return [];
  const { target, agent, mode, checked, last, counters } = fencing;
  return [
    gauge("fencing_info", "Always 1; how this host would fence its peer is in the labels.", [
      [{ target, agent, mode }, 1],
    ]),
    gauge("fencing_device_up", "1 if the device answered when it was looked at last.", [
      [{}, checked?.ok ?? null],
    ]),
    gauge("fencing_last_seconds", "How long the last use of the device took.", [
      [{}, seconds(last?.tookMs ?? null)],
    ]),
    counter("fencing", "Times that the peer was switched off, or was not.", [
      [{ result: "done" }, counters.fenced],
      [{ result: "failed" }, counters.failed],
    ]),
    counter("fencing_checks_failed", "Looks at the device that failed.", [
      [{}, counters.checksFailed],
    ]),
  ];
}

const RIGHTS = ["mine", "peer", "free", "unknown"] as const;

function arbiterMetrics({ arbiter }: StatusDocument): Metric[] {
  if (arbiter === null) return [];
  return [
    gauge(
      "arbiter_right",
      "1 for whose the right to serve is, by the arbiter's last answer.",
      RIGHTS.map((right) => [{ right }, arbiter.right === right]),
    ),
    gauge("arbiter_right_seconds", "How long the right is still certainly this node's.", [
      [{}, seconds(arbiter.validForMs)],
    ]),
    gauge(
      "arbiter_by_consent",
      "1 while the node serves without the arbiter as its peer consents.",
      [
        [{}, arbiter.byConsent],
      ],
    ),
    gauge("arbiter_reachable", "1 if the arbiter answered the last question.", [
      [{}, arbiter.reaches],
    ]),
    gauge("arbiter_last_answer_seconds", "Age of the arbiter's last answer.", [
      [{}, seconds(arbiter.lastAnswerAgoMs)],
    ]),
    counter("arbiter_answers", "Questions that the arbiter answered.", [[{}, arbiter.answers]]),
    counter("arbiter_failures", "Questions that the arbiter did not answer.", [
      [{}, arbiter.failures],
    ]),
  ];
}

function verificationMetrics({ verification }: StatusDocument): Metric[] {
  if (verification === null) return [];
  const { ageMs, result, overdue, durationMs } = verification;
  return [
    gauge("verify_age_seconds", "Since the copies here were last proved.", [
      [{}, seconds(ageMs)],
    ]),
    gauge("verify_duration_seconds", "How long that took.", [[{}, seconds(durationMs)]]),
    gauge(
      "verify_result",
      "1 for what the last proof found.",
      (["equal", "different", "unchecked"] as const).map((
        each,
      ) => [{ result: each }, each === result]),
    ),
    gauge("verify_overdue", "1 if it should have been done again by now.", [[{}, overdue]]),
  ];
}

function unixSeconds(iso: string | null): number | null {
  return iso === null ? null : Date.parse(iso) / 1000;
}

function counterMetrics({ counters, refusals }: StatusDocument): Metric[] {
  return [
    counter("ignored", "Input that was no input, by where it came in.", [
      [{ input: "http" }, counters.httpGarbage],
      [{ input: "icmp" }, counters.icmpIgnored],
      [{ input: "arp" }, counters.arpGarbage],
    ]),
    counter("http_refused", "Requests from addresses that are not allowed.", [
      [{}, counters.httpRefused],
    ]),
    counter("messages", "Messages of the peer, by what became of them.", [
      [{ result: "accepted" }, counters.messagesAccepted],
      [{ result: "refused" }, counters.messagesRefused],
    ]),
    counter(
      "messages_refused",
      "Messages that claimed to be the peer's and were refused, by why.",
      REFUSAL_REASONS.map((reason) => [{ reason }, refusals[reason] ?? 0]),
    ),
    counter("http_paced", "Requests held back or refused as their address asked too often.", [
      [{}, counters.httpPaced],
    ]),
    counter("health_unproved", "Answers in the peer's place without proof of the cluster key.", [
      [{}, counters.healthUnproved],
    ]),
  ];
}
