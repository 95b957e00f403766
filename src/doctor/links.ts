/**
 * Checks of the networks between the hosts, as they are now: interface, ping, health page, witnesses.
 *
 * @module
 */

import { parseHealth } from "../heartbeat/http_probe.ts";
import { HttpConnection } from "../heartbeat/http_connection.ts";
import { IcmpPinger } from "../heartbeat/icmp.ts";
import { canonicalIp } from "../os/ip_bytes.ts";
import { interfaceOf } from "./facts.ts";
import { type Check, failure, good, type Said, warning } from "./finding.ts";
import type { Patient } from "./patient.ts";

/** Echo requests to each address, and the time for all of them, ms. */
const PINGS = 4;
const PING_EVERY_MS = 300;
const PING_WAIT_MS = 3000;
const HEALTH_MS = 5000;

/** See the module. */
export function linkChecks(patient: Patient): readonly Check[] {
  return [
    { ids: ["links.interface"], look: () => lookAtInterfaces(patient) },
    { ids: ["links.ping", "links.witness"], look: () => lookAtPings(patient) },
    { ids: ["links.health"], look: () => lookAtHealth(patient) },
  ];
}

async function lookAtInterfaces(patient: Patient): Promise<readonly Said[]> {
  const id = "links.interface";
  const { networks, role } = patient.config;
  const interfaces = await patient.interfaces();
  return networks.map((network) => {
    const found = interfaceOf(network, role, interfaces);
    const own = network[role];
    if (found === undefined) return failure(id, `${network.name}: no interface has ${own}`);
    const { name, up, carrier, addresses } = found;
    const mend = `ip link set ${name} up`;
    if (!up) return failure(id, `${network.name}: ${name} is down`, mend);
    if (!carrier) {
      return failure(id, `${network.name}: ${name} has no carrier`, "plug the cable in");
    }
    const address = addresses.find((each) => each.address === own);
    if (address === undefined) return failure(id, `${network.name}: ${name} has not ${own}`);
    if (address.prefix !== network.prefix) {
      const text = `${network.name}: ${own} has prefix ${address.prefix}, not ${network.prefix}`;
      return failure(id, text, "correct prefix in relais.toml or on the interface");
    }
    return good(id, `${network.name}: ${name} is up with ${own}`);
  });
}

async function lookAtPings(patient: Patient): Promise<readonly Said[]> {
  const { config, clock, peerRole, signal } = patient;
  const pinger = new IcmpPinger({ poller: null, clock });
  const rtt = new Map<string, number>();
  pinger.onReply((address, ms) => rtt.set(address, Math.min(ms, rtt.get(address) ?? ms)));
  const peers = config.networks.map((network) => ({
    network,
    address: network[peerRole],
    witness: false,
  }));
  const witnesses = config.networks.flatMap((network) =>
    network.witnesses.map((address) => ({ network, address, witness: true }))
  );
  const targets = [...peers, ...witnesses];
  try {
    const end = clock.nowMs() + PING_WAIT_MS;
    for (let sent = 0; rtt.size < targets.length && clock.nowMs() < end; sent++) {
      if (sent < PINGS) {
        for (const { address, network } of targets) {
          pinger.ping(address, { source: network[config.role] });
        }
      }
      await clock.sleep(PING_EVERY_MS, signal);
      pinger.drain();
    }
  } finally {
    pinger.close();
  }
  const heard = (address: string): number | undefined => rtt.get(canonicalIp(address) ?? address);
  return targets.map(({ network, address, witness }) => {
    const ms = heard(address);
    const name = `${network.name}: ${witness ? "witness " : ""}${address}`;
    const id = witness ? "links.witness" : "links.ping";
    if (ms !== undefined) return good(id, `${name} answers ping in ${ms.toFixed(2)} ms`);
    const others = witness && witnesses.some((each) => heard(each.address) !== undefined);
    const text = `${name} does not answer ping`;
    return others ? warning(id, text) : failure(id, text);
  });
}

async function lookAtHealth(patient: Patient): Promise<readonly Said[]> {
  const id = "links.health";
  const { networks, heartbeat } = patient.config;
  return await Promise.all(networks.map(async (network) => {
    const address = network[patient.peerRole];
    const connection = new HttpConnection({ address, port: heartbeat.httpPort });
    const name = `${network.name}: ${address}:${heartbeat.httpPort}`;
    try {
      const answer = await connection.request({
        method: "GET",
        path: "/health",
        deadlineMs: HEALTH_MS,
        signal: patient.signal,
      });
      if (answer.status !== 200) return failure(id, `${name} answers ${answer.status}`);
      const { role, state } = parseHealth(answer.body);
      return good(id, `${name} answers: ${role}, ${state}`);
    } catch (error) {
      return failure(id, `${name}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      connection.close();
    }
  }));
}
