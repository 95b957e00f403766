/**
 * Doing a fault to a host of the laboratory, and undoing it.
 *
 * @module
 */

import type { LabFaultKind } from "./faults_schedule.ts";
import type { LabHost } from "./lab_host.ts";

/** Undoes a fault; harmless when there is nothing to undo (any more). */
export type Undo = () => Promise<void>;

const FILLER = "/var/lib/relais/filler";
/** Before /usr/sbin in systemd's PATH. */
const HANGING_IP = "/usr/local/sbin/ip";
const TABLE = "relais_lab_fault";

/** Does it; returns when it is done. */
export async function inject(kind: LabFaultKind, host: LabHost): Promise<Undo> {
  switch (kind) {
    case "power cut":
      await host.crash();
      return () => host.boot();
    case "powered off":
      await host.off();
      return () => host.boot();
    case "cable voip":
      await host.cut("voip");
      return () => host.plug("voip");
    case "cable data":
      await host.cut("data");
      return () => host.plug("data");
    case "cables":
      await host.cut();
      return () => host.plug();
    case "asterisk killed":
      await host.try(["systemctl", "kill", "--signal=SIGKILL", "asterisk.service"]);
      return nothing;
    case "asterisk stopped":
      await host.exec(["systemctl", "stop", "asterisk.service"], { deadlineMs: 120_000 });
      return nothing; // relais starts it again, or has given the service away
    case "relais killed":
      await host.exec(["systemctl", "kill", "--signal=SIGKILL", "relais.service"]);
      return nothing; // systemd starts it again
    case "relais stopped":
      await host.exec(["systemctl", "stop", "relais.service"], { deadlineMs: 330_000 });
      return () => run(host, ["systemctl", "start", "relais.service"]);
    case "frozen":
      await host.freeze();
      return () => host.thaw();
    case "disk full":
      // To the last block, also of those that are kept for root.
      await host.try(["sh", "-c", fillScript()], { deadlineMs: 60_000 });
      return () => run(host, ["rm", "-f", FILLER]);
    case "ip hangs":
      await host.writeFile(HANGING_IP, "#!/bin/sh\nexec sleep 600\n", { mode: "755" });
      return () => run(host, ["rm", "-f", HANGING_IP]);
    case "ssh blocked":
      await host.exec(["nft", "-f", "-"], { stdin: blockSsh() });
      return () => run(host, ["sh", "-c", `nft delete table inet ${TABLE} || true`]);
    case "postgresql stopped":
      await host.exec(["systemctl", "stop", "postgresql@15-main"], { deadlineMs: 120_000 });
      return () => run(host, ["systemctl", "start", "postgresql@15-main"]);
    case "operator":
      return nothing;
  }
}

async function nothing(): Promise<void> {}

async function run(host: LabHost, argv: readonly string[]): Promise<void> {
  await host.exec(argv, { deadlineMs: 120_000 });
}

/** Halves until nothing more fits: `fallocate` writes nothing, so a large disk is as quick as a small one. */
function fillScript(): string {
  return [
    "size=1099511627776; at=0",
    "while [ $size -ge 4096 ]; do",
    `  if fallocate -o $at -l $size ${FILLER} 2>/dev/null; then at=$((at + size)); else size=$((size / 2)); fi`,
    "done",
    `test $at -gt 0`,
  ].join("\n");
}

function blockSsh(): string {
  return `table inet ${TABLE} {
  chain in { type filter hook input priority -200; tcp dport 22 drop; }
  chain out { type filter hook output priority -200; tcp dport 22 drop; }
}
`;
}
