import assert from "node:assert/strict";
import { localConfig, parseConfig } from "../config/load.ts";
import type { StatusDocument } from "../health/types.ts";
import { fencingChecks } from "./fencing.ts";
import type { Patient } from "./patient.ts";

const METADATA = `<resource-agent name="x"><parameters><parameter name="ip"/></parameters>
<actions><action name="status"/></actions></resource-agent>`;

/** `ID severity: what was found` of each check, on the slave, with an agent that is this script. */
async function findings(
  { agent, parameters = "", verdict = "alive", witness = true }: {
    readonly agent: string | null;
    readonly parameters?: string;
    readonly verdict?: StatusDocument["peer"]["verdict"];
    readonly witness?: boolean;
  },
): Promise<string> {
  const dir = await Deno.makeTempDir({ prefix: "relais-doctor-" });
  try {
    if (agent !== null) {
      await Deno.writeTextFile(`${dir}/agent`, `#!/bin/sh\ninput=$(cat)\n${agent}\n`, {
        mode: 0o755,
      });
    }
    const config = parseConfig(`[cluster]\nname = "test"
[[networks]]\nname = "voip"\nmaster = "10.20.0.11"\nslave = "10.20.0.12"\nprefix = 24
witnesses = [${witness ? '"10.20.0.254"' : ""}]
[fencing.master]\nagent = "${dir}/agent"\nparameters = { ip = "10.9.0.11"${parameters} }
[fencing.slave]\nagent = "${dir}/agent"\nparameters = { ip = "10.9.0.12" }`);
    const patient = {
      config: localConfig(config, "slave"),
      status: () => Promise.resolve({ peer: { verdict } }),
    } as unknown as Patient;
    const said = await Promise.all(fencingChecks(patient).map(({ look }) => look()));
    return said.flat().map(({ id, severity, found }) => `${id} ${severity}: ${found}`).join("\n")
      .replaceAll(dir, "DIR");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const TOLD = `case "$input" in *metadata) echo '${METADATA}';; esac`;

Deno.test("fencingChecks() find a device that answers, an agent that knows its parameters, a witness", async () => {
  assert.equal(
    await findings({ agent: TOLD }),
    "fencing.agent ok: DIR/agent, of root's\n" +
      "fencing.parameters ok: DIR/agent knows ip\n" +
      "fencing.device ok: DIR/agent: its device answers, the power is on\n" +
      "fencing.witness ok: witnesses on voip",
  );
});

Deno.test("fencingChecks() find what would fail at the moment of need", async () => {
  const missing = await findings({ agent: null, witness: false });
  assert.match(missing, /fencing\.agent failure: Cannot run the fence agent .* not installed/);
  assert.match(missing, /fencing\.device failure/);
  assert.match(missing, /fencing\.witness warning: no network has a witness/);
  const unknown = await findings({ agent: TOLD, parameters: ", user = 1" });
  assert.match(unknown, /fencing\.parameters failure: DIR\/agent does not know user/);
  const silent = await findings({ agent: 'case "$input" in *monitor) echo no >&2; exit 1;; esac' });
  assert.match(silent, /fencing\.parameters warning: could not check: .* says nothing/);
  assert.match(silent, /fencing\.device failure: DIR\/agent exited with 1: no/);
});

Deno.test("fencingChecks() find a plug of another host: off, where the peer is heard", async () => {
  const agent = 'case "$input" in *status) exit 2;; esac';
  assert.match(await findings({ agent }), /fencing\.device failure: it says that the power is off/);
  assert.match(
    await findings({ agent, verdict: "dead" }),
    /fencing\.device ok: .*the power is off/,
  );
});
