/**
 * Outputs and files of those who manage network interfaces. Pure.
 *
 * @module
 */

import { canonicalIp } from "../os/ip_bytes.ts";

/** Interface → state, from `nmcli -t -f DEVICE,STATE device` (a colon in a name is written `\:`). */
export function parseNmcli(stdout: string): ReadonlyMap<string, string> {
  return new Map(
    stdout.split("\n").flatMap((line) => {
      const [, device, state] = /^((?:[^\\:]|\\.)+):(.*)$/.exec(line) ?? [];
      return device === undefined ? [] : [[device.replaceAll("\\:", ":"), state ?? ""] as const];
    }),
  );
}

/** NetworkManager looks after a device in this state. */
export function isManaged(state: string): boolean {
  return state !== "unmanaged" && !state.includes("externally");
}

/** Interface → setup state, from `networkctl list --no-legend`. */
export function parseNetworkctl(stdout: string): ReadonlyMap<string, string> {
  return new Map(
    stdout.split("\n").flatMap((line) => {
      const [index, name, , , setup] = line.trim().split(/\s+/);
      return /^\d+$/.test(index ?? "") && name !== undefined && setup !== undefined
        ? [[name, setup] as const]
        : [];
    }),
  );
}

/** Path of the `.network` file, from `networkctl status IFACE`; null: none. */
export function networkFileOf(stdout: string): string | null {
  return /^[ \t]*Network File:[ \t]*(\/\S+)/m.exec(stdout)?.[1] ?? null;
}

/** Interface → methods (`static`, `dhcp`, …), from interfaces(5). */
export function parseInterfacesFile(text: string): ReadonlyMap<string, readonly string[]> {
  const methods = new Map<string, string[]>();
  for (const line of text.replaceAll("\\\n", " ").split("\n")) {
    const [keyword, name, , method] = line.trim().split(/\s+/);
    if (keyword !== "iface" || name === undefined || method === undefined) continue;
    methods.set(name, [...methods.get(name) ?? [], method]);
  }
  return methods;
}

/** Whether a text has an address as a word of its own, outside of comments; never a part of another. */
export function namesAddress(text: string, address: string): boolean {
  const wanted = canonicalIp(address) ?? address;
  return text.split("\n").some((line) =>
    !/^\s*[#;]/.test(line) &&
    line.split(/[\s=,;"'()]+/).some((word) =>
      canonicalIp(word.replace(/\/\d{1,3}$/, "")) === wanted
    )
  );
}

/** A process of `ps -eo pid=,comm=,args=`. */
export interface Process {
  readonly pid: number;
  readonly name: string;
  readonly args: string;
}

/** Reads the output of `ps -eo pid=,comm=,args=`. */
export function parseProcesses(stdout: string): readonly Process[] {
  return stdout.split("\n").flatMap((line) => {
    const [, pid, name, args] = /^\s*(\d+)\s+(\S+)\s*(.*)$/.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), name: name ?? "", args: args ?? "" }];
  });
}

const DHCP_CLIENTS = ["dhclient", "dhcpcd", "udhcpc", "dhcpcd5", "pump"];

/** DHCP clients that work on an interface: it is named, or none is. */
export function dhcpClientsOn(
  name: string,
  processes: readonly Process[],
): readonly Process[] {
  return processes.filter((each) => {
    if (!DHCP_CLIENTS.includes(each.name)) return false;
    const words = each.args.split(/\s+/).slice(1);
    const devices = words.filter((word, i) =>
      /^[a-z][\w.:-]*$/i.test(word) &&
      !["-pf", "-lf", "-cf", "-sf", "-p", "-s"].includes(words[i - 1] ?? "")
    );
    return devices.length === 0 || devices.includes(name);
  });
}
