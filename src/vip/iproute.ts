/**
 * Talks to the kernel through iproute2: one `ip -batch` per call, whatever the number of changes, with
 * JSON read-back in the same run. Source: ip(8), ip-address(8), ip-route(8).
 *
 * @module
 */

import { z } from "zod";
import { canonicalIp } from "../os/ip_bytes.ts";
import { run } from "../os/process.ts";
import { ROUTE_PROTOCOL } from "./mark.ts";

/** How long one run of `ip` that changes something may take, in milliseconds. Usual: 2 to 5. */
const IP_DEADLINE_MS = 1000;

/**
 * How long a run that only reads may take where nothing has to wait for it: a host that is very busy is not
 * blind because of a second. Five: as often as the kernel is read at all.
 */
const PATIENT_DEADLINE_MS = 5000;

/** What iproute2 prints for a lifetime without end. */
const FOREVER = 4294967295;

/** The routing table `main` (rtnetlink(7), RT_TABLE_MAIN). */
export const MAIN_TABLE = 254;

/** One address on an interface. */
export interface AddressInfo {
  readonly family: 4 | 6;
  /** Canonical text. */
  readonly address: string;
  readonly prefix: number;
  /** IPv4 only. */
  readonly label: string | null;
  /** Seconds left; null: for ever. */
  readonly validS: number | null;
  /** Seconds left as a preferred source; null: for ever. */
  readonly preferredS: number | null;
  /** IPv6: duplicate detection is not finished. */
  readonly tentative: boolean;
  /** IPv6: duplicate detection found another holder. */
  readonly dadFailed: boolean;
  readonly nodad: boolean;
  readonly noPrefixRoute: boolean;
}

/** One network interface with its addresses. */
export interface InterfaceInfo {
  readonly name: string;
  readonly index: number;
  /** Lower case with colons; null where the link has none (loopback, tunnels). */
  readonly mac: string | null;
  /** Administratively up. */
  readonly up: boolean;
  /** The link below is up (cable plugged in). */
  readonly carrier: boolean;
  readonly addresses: readonly AddressInfo[];
}

/** One route, in the order in which the kernel lists (and prefers) routes of one metric. */
export interface RouteInfo {
  readonly family: 4 | 6;
  /** Canonical: `0.0.0.0/0`, `::/0`, `192.168.0.0/16`, `10.1.2.3/32`. */
  readonly to: string;
  readonly via: string | null;
  readonly dev: string | null;
  readonly src: string | null;
  readonly table: number;
  /** 0 where the kernel shows none. */
  readonly metric: number;
  /** rtnetlink(7) rtm_protocol; null when not shown. */
  readonly protocol: number | null;
}

/** A line of a batch that failed. */
export interface FailedLine {
  readonly line: string;
  /** What iproute2 said, e.g. `RTNETLINK answers: File exists`. */
  readonly message: string;
}

/** What the kernel holds, as read in one run. */
export interface Observed {
  readonly interfaces: readonly InterfaceInfo[];
  /** Ours of all tables, and every route to a destination that was asked for. */
  readonly routes: readonly RouteInfo[];
}

/** Result of {@linkcode IpRoute.batch}. */
export interface BatchResult extends Observed {
  readonly failed: readonly FailedLine[];
}

/** `ip -N` prints numbers of tables and protocols as text. */
const numberText = z.string().regex(/^\d{1,10}$/);
/** Numbers of the kernel's have 32 bits. */
const uint32 = z.number().int().min(0).max(0xffff_ffff);

const addressSchema = z.object({
  family: z.string().optional(),
  local: z.string().optional(),
  prefixlen: uint32.max(128).optional(),
  label: z.string().optional(),
  valid_life_time: uint32.optional(),
  preferred_life_time: uint32.optional(),
  tentative: z.boolean().optional(),
  dadfailed: z.boolean().optional(),
  nodad: z.boolean().optional(),
  noprefixroute: z.boolean().optional(),
});

const interfacesSchema = z.array(z.object({
  ifindex: uint32.min(1).optional(),
  // What the kernel takes for a name (dev_valid_name()): it goes into the lines of a batch.
  ifname: z.string().regex(/^[^\s/]+$/).optional(),
  flags: z.array(z.string()).optional(),
  address: z.string().optional(),
  addr_info: z.array(addressSchema).optional(),
}));

const routesSchema = z.array(z.object({
  type: z.string().optional(),
  dst: z.string(),
  gateway: z.string().optional(),
  dev: z.string().optional(),
  table: numberText.optional(),
  prefsrc: z.string().optional(),
  metric: uint32.optional(),
  protocol: numberText.optional(),
  pref: z.string().optional(),
}));

/** `ip`, possibly of another network namespace. */
export class IpRoute {
  readonly #command: readonly string[];

  /** @param command how to call `ip`, e.g. `["nsenter", "--net=/proc/7/ns/net", "ip"]` */
  constructor(command: readonly string[] = ["ip"]) {
    this.#command = command;
  }

  /**
   * Runs `lines` (ip batch syntax; a failing line does not stop the rest) and reads the kernel after
   * them, or before them with `readFirst`, in one process.
   *
   * @throws {ToolMissingError} when `ip` is not installed
   * @throws {ToolTimeoutError} after {@linkcode IP_DEADLINE_MS}, or {@linkcode PATIENT_DEADLINE_MS}
   * @throws {DOMException} `AbortError`; some lines may have been executed
   * @throws {Error} when what `ip` printed can't be understood
   */
  async batch(lines: readonly string[], options: {
    readonly readFirst?: boolean;
    /** Destinations (canonical) whose other routes are wanted too. */
    readonly destinations?: readonly string[];
    /** Nothing is changed, and nothing waits for the answer that must not wait. */
    readonly patient?: boolean;
    readonly signal?: AbortSignal;
  } = {}): Promise<BatchResult> {
    const destinations = [...new Set(options.destinations)];
    const reads = [
      "address show",
      `route show table all proto ${ROUTE_PROTOCOL}`,
      ...destinations.map((to) => `route show table all to exact ${to}`),
    ];
    const all = options.readFirst ? [...reads, ...lines] : [...lines, ...reads];
    const result = await run([...this.#command, "-N", "-json", "-force", "-batch", "-"], {
      stdin: all.join("\n") + "\n",
      deadlineMs: options.patient === true ? PATIENT_DEADLINE_MS : IP_DEADLINE_MS,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    if (result.droppedBytes > 0) throw new Error("Cannot read the routes as there are too many");
    const failed = parseFailures(result.stderr, all);
    const failedRead = failed.find((failure) => reads.includes(failure.line));
    if (failedRead !== undefined || (result.code !== 0 && failed.length === 0)) {
      throw new Error(
        `Cannot read the network as "${this.#command.join(" ")}" exited with ${result.code}: ${
          failedRead?.message ?? (result.stderr.trim().slice(0, 500) || "(no message)")
        }`,
      );
    }
    return { ...parseReads(result.stdout, destinations), failed };
  }
}

/**
 * Every interface with its addresses, from one `ip -json address show`.
 *
 * @throws what {@linkcode IpRoute.batch} throws
 */
export async function readInterfaces(command?: readonly string[]): Promise<
  readonly InterfaceInfo[]
> {
  return (await new IpRoute(command).batch([], { patient: true })).interfaces;
}

/** Parses the arrays that `ip -json -batch` printed: addresses, our routes, routes per destination. */
function parseReads(stdout: string, destinations: readonly string[]): Observed {
  const arrays = stdout.split("\n").filter((line) => line.trim() !== "");
  if (arrays.length !== 2 + destinations.length) {
    throw new Error(
      `Cannot read the network as ip printed ${arrays.length} lines of JSON instead of ` +
        `${2 + destinations.length}`,
    );
  }
  const [interfaces = "", ours = "", ...others] = arrays;
  return {
    interfaces: parseInterfaces(interfaces),
    routes: [
      // The listings per destination hold these too, and at their place among the others.
      ...parseRoutes(ours, ROUTE_PROTOCOL).filter((route) => !destinations.includes(route.to)),
      ...others.flatMap((text) => parseRoutes(text, null)),
    ],
  };
}

/**
 * Reads what `ip -json address show` prints.
 *
 * @throws {Error} when it is not that
 */
export function parseInterfaces(json: string): readonly InterfaceInfo[] {
  const interfaces: InterfaceInfo[] = [];
  // Filtered listings hold empty objects (iproute2 prints `{}` for what it skips).
  for (const link of parse(interfacesSchema, json)) {
    if (link.ifname === undefined || link.ifindex === undefined) continue;
    const flags = link.flags ?? [];
    interfaces.push({
      name: link.ifname,
      index: link.ifindex,
      mac: flags.includes("LOOPBACK") ? null : asMac(link.address),
      up: flags.includes("UP"),
      carrier: flags.includes("LOWER_UP") && !flags.includes("NO-CARRIER"),
      addresses: (link.addr_info ?? []).flatMap(toAddress),
    });
  }
  return interfaces;
}

function toAddress(raw: z.infer<typeof addressSchema>): AddressInfo[] {
  if (raw.local === undefined || raw.prefixlen === undefined) return [];
  if (raw.family !== "inet" && raw.family !== "inet6") return [];
  if (raw.family === "inet" && raw.prefixlen > 32) return [];
  return [{
    family: raw.family === "inet" ? 4 : 6,
    address: canonicalAddress(raw.local),
    prefix: raw.prefixlen,
    label: raw.label ?? null,
    validS: lifetime(raw.valid_life_time),
    preferredS: lifetime(raw.preferred_life_time),
    tentative: raw.tentative ?? false,
    dadFailed: raw.dadfailed ?? false,
    nodad: raw.nodad ?? false,
    noPrefixRoute: raw.noprefixroute ?? false,
  }];
}

/**
 * Reads what `ip -N -json route show table all` prints.
 *
 * @param protocol that of every line when the listing was filtered by it (it is then not shown)
 * @throws {Error} when it is not that
 */
export function parseRoutes(json: string, protocol: number | null): readonly RouteInfo[] {
  return parse(routesSchema, json).map((raw) => {
    // Only IPv6 routes carry a router preference (RFC 4191); a device route has no other sign.
    const is6 = raw.pref !== undefined || raw.dst.includes(":") || raw.gateway?.includes(":");
    const family = is6 ? 6 : 4;
    return {
      family,
      to: canonicalDestination(raw.dst, family),
      via: raw.gateway === undefined ? null : canonicalAddress(raw.gateway),
      dev: raw.dev ?? null,
      src: raw.prefsrc === undefined ? null : canonicalAddress(raw.prefsrc),
      table: raw.table === undefined ? MAIN_TABLE : Number(raw.table),
      metric: raw.metric ?? 0,
      protocol: protocol ?? (raw.protocol === undefined ? null : Number(raw.protocol)),
    };
  });
}

/** The text that this program compares: IPv6 as RFC 5952 writes it; what is no address stays as it is. */
export function canonicalAddress(address: string): string {
  return canonicalIp(address) ?? address;
}

/** `default` and bare hosts written as prefixes, IPv6 as RFC 5952 writes it. */
export function canonicalDestination(to: string, family: 4 | 6): string {
  if (to === "default") return family === 4 ? "0.0.0.0/0" : "::/0";
  const [address = "", prefix] = to.split("/");
  return `${canonicalAddress(address)}/${prefix ?? (family === 4 ? 32 : 128)}`;
}

function lifetime(seconds: number | undefined): number | null {
  return seconds === undefined || seconds === FOREVER ? null : seconds;
}

function asMac(address: string | undefined): string | null {
  return address !== undefined && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(address) ? address : null;
}

/** Pairs `Command failed -:LINE` with the message before it. */
function parseFailures(stderr: string, lines: readonly string[]): FailedLine[] {
  const failed: FailedLine[] = [];
  let said: string[] = [];
  for (const text of stderr.split("\n")) {
    const match = /^Command failed .*:(\d+)$/.exec(text);
    if (match === null) {
      if (text.trim() !== "") said.push(text.trim());
      continue;
    }
    failed.push({ line: lines[Number(match[1]) - 1] ?? "", message: said.join(" ") });
    said = [];
  }
  return failed;
}

function parse<T>(schema: z.ZodType<T>, json: string): T {
  try {
    return schema.parse(JSON.parse(json));
  } catch (cause) {
    throw new Error(
      `Cannot read the answer of ip as it is not the JSON that iproute2 6.1 prints: ${
        json.slice(0, 200)
      }`,
      { cause },
    );
  }
}
