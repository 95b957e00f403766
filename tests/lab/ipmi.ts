/**
 * A BMC for each host of the laboratory: OpenIPMI's simulator (Debian package `openipmi`), which speaks IPMI
 * 2.0 over UDP as a server's own BMC does. It runs on the gateway's network, apart from the hosts; what it is
 * told about the power, the laboratory does.
 *
 * @module
 */

import { poll } from "../support/poll.ts";
import { HostProcess } from "../support/host_process.ts";
import type { LabHost } from "./lab_host.ts";
import type { Laboratory } from "./laboratory.ts";

/** Who may log in. The simulator takes 16 characters, as IPMI 1.5 does. */
export const BMC_USER = "relais";
export const BMC_PASSWORD = "s3cret-of-bmc";
const PORTS = { master: 9621, slave: 9622 } as const;
const LOOK_EVERY_MS = 50;

/** Both BMCs. */
export class Bmcs implements AsyncDisposable {
  /** What they were told, in order: `master off`. */
  readonly told: string[] = [];
  readonly #processes: HostProcess[] = [];
  readonly #folder: string;
  readonly #laboratory: Laboratory;
  readonly #timer: ReturnType<typeof setInterval>;
  #work: Promise<void> = Promise.resolve();

  private constructor(laboratory: Laboratory, folder: string) {
    this.#laboratory = laboratory;
    this.#folder = folder;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** Starts them; they end with {@linkcode close}, and with this process. */
  static async start(laboratory: Laboratory): Promise<Bmcs> {
    const folder = await Deno.makeTempDir({ prefix: "relais-bmc-" });
    const bmcs = new Bmcs(laboratory, folder);
    try {
      for (const host of laboratory.hosts) await bmcs.#startOne(host);
    } catch (error) {
      await bmcs.close();
      throw error;
    }
    return bmcs;
  }

  /** Lines of `[fencing]` with Debian's own agent. */
  config(options: readonly string[]): string[] {
    const ip = this.#laboratory.address("gateway");
    return [
      "[fencing]",
      ...options,
      ...(["master", "slave"] as const).flatMap((name) => [
        `[fencing.${name}]`,
        'agent = "fence_ipmilan"',
        `parameters = { ip = "${ip}", ipport = ${
          PORTS[name]
        }, lanplus = true, username = "${BMC_USER}" }`,
        `parameters_file = "/etc/relais/fence-${name}.conf"`,
      ]),
    ];
  }

  /** A BMC that is out of order: it answers nobody. */
  async stop(name: "master" | "slave"): Promise<void> {
    const process = this.#processes[name === "master" ? 0 : 1];
    if (process !== undefined) await end(process);
  }

  /** Ends them. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const each of this.#processes) await end(each);
    await this.#work;
    await Deno.remove(this.#folder, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #startOne({ name }: LabHost): Promise<void> {
    const base = `${this.#folder}/${name}`;
    const role = name as keyof typeof PORTS;
    await Deno.writeTextFile(`${base}.power`, "1");
    await Deno.writeTextFile(
      `${base}.sh`,
      [
        "#!/bin/sh",
        "# Called by ipmi_sim as: ADDRESS get|set power [VALUE]",
        "shift",
        'case "$*" in',
        `  "get power") echo "power:$(cat ${base}.power)" ;;`,
        `  "set power "*) echo "$3" > ${base}.new && mv ${base}.new ${base}.wish ;;`,
        "esac",
        "",
      ].join("\n"),
      { mode: 0o755 },
    );
    await Deno.writeTextFile(
      `${base}.lan`,
      [
        `name "${name}"`,
        "set_working_mc 0x20",
        "startlan 1",
        `  addr ${this.#laboratory.address("gateway")} ${PORTS[role]}`,
        "  priv_limit admin",
        ...["callback", "user", "operator", "admin"].map((level) =>
          `  allowed_auths_${level} none md2 md5 straight`
        ),
        "  guid a123456789abcdefa123456789abcdef",
        "endlan",
        `chassis_control "${base}.sh 0x20"`,
        `user 2 true "${BMC_USER}" "${BMC_PASSWORD}" admin 10 none md2 md5 straight`,
        "",
      ].join("\n"),
    );
    await Deno.writeTextFile(
      `${base}.emu`,
      "mc_setbmc 0x20\n" +
        "mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n",
    );
    const argv = [
      "ipmi_sim",
      "-c",
      `${base}.lan`,
      "-f",
      `${base}.emu`,
      "-s",
      `${base}.state`,
      "-n",
    ];
    const { tool } = this.#laboratory;
    const process = HostProcess.start(tool.argv(["net", "gateway", ...argv]), "null");
    this.#processes.push(process);
    await poll(() => process.running, { deadlineMs: 10_000, what: `the BMC of the ${name}` });
  }

  /** Does what was wished for, one after the other. */
  #look(): void {
    for (const host of this.#laboratory.hosts) {
      const wish = take(`${this.#folder}/${host.name}.wish`);
      if (wish === null) continue;
      this.told.push(`${host.name} ${wish === "0" ? "off" : "on"}`);
      this.#work = this.#work.then(async () => {
        if (wish === "0") await host.crash();
        else await host.boot();
        await Deno.writeTextFile(`${this.#folder}/${host.name}.power`, wish);
      });
    }
  }
}

/** The program of this machine is the process that was started: every step on the way becomes the next. */
async function end(process: HostProcess): Promise<void> {
  process.killStarter();
  await process.ended(10_000);
}

function take(path: string): string | null {
  try {
    const text = Deno.readTextFileSync(path).trim();
    Deno.removeSync(path);
    return text;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
