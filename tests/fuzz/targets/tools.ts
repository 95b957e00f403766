/**
 * What the tools of the host print: iproute2, systemctl, nft, iptables, rsync, find, and what `relais doctor`
 * reads. They are no enemies, but versions, locales and cut pipes make them say what nobody expected.
 *
 * @module
 */

import * as addresses from "../../../src/doctor/addresses_parse.ts";
import { parseAsteriskConf, parseAsteriskVersion } from "../../../src/doctor/asterisk_conf.ts";
import { asBoolean, lastValue } from "../../../src/doctor/ini.ts";
import { judgeIptables } from "../../../src/doctor/iptables_rules.ts";
import { isOfIptables, judgeNft, parseRuleset } from "../../../src/doctor/nft_rules.ts";
import type { Packet } from "../../../src/doctor/packet.ts";
import { haJobsOf, nodeTypeOf, rivalsAmong } from "../../../src/doctor/rivals_parse.ts";
import { parseShow } from "../../../src/doctor/units_parse.ts";
import { isRestartJob } from "../../../src/cli/restart_request.ts";
import {
  detectFormat,
  findBerkeleyFault,
  isHotJournal,
} from "../../../src/replication/astdb_format.ts";
import { parseListLine, plainName } from "../../../src/replication/file_list.ts";
import { parseStats } from "../../../src/replication/files.ts";
import { parseTreeRecord } from "../../../src/replication/tree_list.ts";
import { readCalls } from "../../../src/runtime/idle.ts";
import { parseUnitStates } from "../../../src/services/unit_state.ts";
import { parseHaConf } from "../../../src/setup/found.ts";
import { parseInterfaces, parseRoutes } from "../../../src/vip/iproute.ts";
import { changeOf } from "../../../src/vip/monitor.ts";
import { parseTables } from "../../../src/vip/tables.ts";
import { bytesOf, concat, jsonOf, textOf } from "../bytes.ts";
import { mustBePlain, mustEqual, mustHold, orRefused, stateless, type Target } from "../target.ts";

const CAPTURED = new URL("../../../src/doctor/captured/", import.meta.url);

const INTERFACES = [
  {
    ifindex: 2,
    ifname: "eth0",
    flags: ["BROADCAST", "UP", "LOWER_UP"],
    address: "02:00:5e:10:00:01",
    addr_info: [
      {
        family: "inet",
        local: "10.20.0.11",
        prefixlen: 24,
        label: "eth0",
        valid_life_time: 4294967295,
      },
      { family: "inet6", local: "fe80::1", prefixlen: 64, tentative: true, nodad: true },
    ],
  },
  {},
  { ifindex: 1, ifname: "lo", flags: ["LOOPBACK", "UP"], addr_info: [] },
];
const ROUTES = [
  {
    type: "unicast",
    dst: "default",
    gateway: "10.20.0.254",
    dev: "eth0",
    table: "254",
    metric: 100,
    protocol: "4",
  },
  { dst: "10.20.0.0/24", dev: "eth0", prefsrc: "10.20.0.11", protocol: "114", table: "100" },
  { dst: "fd00::/64", dev: "eth0", pref: "medium", metric: 256 },
];

const ipTarget = stateless({
  name: "ip-json",
  files: ["vip/iproute.ts"],
  weight: 10,
  maxBytes: 8000,
  json: true,
  corpus: () => [INTERFACES, ROUTES, []].map(jsonOf),
  words: ["{}", '"ifname"', '"local"', '"dst":"default"', '"table":"main"', "null", "[", "]", ","],
  feed(bytes): boolean {
    const text = textOf(bytes);
    const links = orRefused(() => parseInterfaces(text), Error)?.value ?? null;
    for (const { name, index, mac, addresses } of links ?? []) {
      mustHold(Number.isSafeInteger(index) && index > 0, `index ${index}`);
      mustHold(name !== "" && !/[\s/]/.test(name), `interface ${name}`);
      mustHold(mac === null || /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac), `MAC ${mac}`);
      for (const { prefix, family, validS } of addresses) {
        mustHold(
          Number.isInteger(prefix) && prefix >= 0 && prefix <= (family === 4 ? 32 : 128),
          `/${prefix}`,
        );
        mustHold(validS === null || validS >= 0, `a lifetime of ${validS}`);
      }
    }
    const routes = orRefused(() => parseRoutes(text, null), Error)?.value ?? null;
    for (const { table, metric, protocol } of routes ?? []) {
      for (const number of [table, metric, protocol ?? 0]) {
        mustHold(Number.isSafeInteger(number) && number >= 0, `number ${number} of a route`);
      }
    }
    return links !== null || routes !== null;
  },
});

const monitorTarget = stateless({
  name: "ip-monitor",
  files: ["vip/monitor.ts"],
  weight: 8,
  maxBytes: 4000,
  corpus: () =>
    [
      "[ADDR]2: eth0    inet 10.20.0.10/32 scope global eth0:relais\\       valid_lft 10sec preferred_lft 10sec",
      "[ADDR]Deleted 2: eth0    inet6 fd00::10/128 scope global nodad noprefixroute \\ valid_lft 9sec",
      "[LINK]2: eth0: <BROADCAST,UP> mtu 1500 \\    link/ether 02:00:5e:10:00:01",
      "[ROUTE]default via 10.20.0.254 dev eth0 proto 114 table 254 ",
      "[ROUTE]Deleted local 10.20.0.10 dev eth0 table 255 proto 2 ",
    ].map(bytesOf),
  words: [
    "[ADDR]",
    "[ROUTE]",
    "[LINK]",
    "Deleted ",
    " inet ",
    "\\",
    " nodad ",
    " noprefixroute ",
    " ",
  ]
    .concat([" valid_lft 10sec", " table 255 ", " proto 114 "]),
  feed(bytes): boolean {
    const text = textOf(bytes);
    const kind = changeOf(text);
    mustHold(kind === null || ["link", "address", "route"].includes(kind), `kind ${kind}`);
    if (text.startsWith("[LINK]") && !/[\r\n\u2028\u2029]/.test(text)) {
      mustEqual(kind, "link", "a link");
    }
    return kind !== null;
  },
});

const UNITS = ["asterisk.service", "xivo-ctid.service"];
const SHOWN =
  "Id=asterisk.service\nLoadState=loaded\nActiveState=active\nSubState=running\nResult=success\n" +
  "ConditionResult=yes\nType=notify\nRemainAfterExit=no\nNRestarts=2\nUnitFileState=enabled\n" +
  "DropInPaths=/etc/a.conf /etc/b.conf\nWatchdogUSec=0\n\nId=x\nLoadState=not-found\nActiveState=inactive\n";

const unitTarget = stateless({
  name: "systemctl",
  files: ["services/unit_state.ts", "doctor/units_parse.ts", "cli/restart_request.ts"],
  weight: 6,
  maxBytes: 8000,
  corpus: () =>
    [SHOWN, "", "1 relais.service restart waiting\n", SHOWN.replace(/\n\n[^]*/, "")].map(bytesOf),
  words: ["\n\n", "\n", "=", "NRestarts=", "ActiveState=active", "relais.service restart", " \n"],
  feed(bytes): boolean {
    const text = textOf(bytes);
    isRestartJob(text);
    const states = orRefused(() => parseUnitStates(text, UNITS), RangeError)?.value ?? null;
    const shown = orRefused(() => parseShow(text, UNITS), RangeError)?.value ?? null;
    for (const [i, { unit, restarts }] of (states ?? []).entries()) {
      mustEqual(unit, UNITS[i], "the unit that was asked for");
      mustHold(Number.isSafeInteger(restarts) && restarts >= 0, `${restarts} restarts`);
    }
    mustEqual(shown === null, states === null, "both read the same blocks");
    return states !== null;
  },
});

const PACKETS: readonly Packet[] = [
  {
    family: "ip",
    iif: "eth0",
    source: "10.20.0.12",
    destination: "10.20.0.11",
    protocol: "udp",
    port: 5060,
  },
  {
    family: "ip6",
    iif: "eth0",
    source: "fd00::12",
    destination: "fd00::11",
    protocol: "tcp",
    port: 8460,
  },
  {
    family: "ip",
    iif: "eth0",
    source: "10.20.0.12",
    destination: "10.20.0.11",
    protocol: "icmp",
    port: null,
  },
  {
    family: "arp",
    iif: "eth0",
    source: "10.20.0.12",
    destination: "10.20.0.11",
    protocol: null,
    port: null,
  },
];

const captured = (names: readonly string[]): Promise<Uint8Array[]> =>
  Promise.all(names.map((name) => Deno.readFile(new URL(name, CAPTURED))));

const nftTarget = stateless({
  name: "nft-json",
  files: ["doctor/nft_rules.ts", "doctor/packet.ts"],
  weight: 2,
  maxBytes: 60_000,
  json: true,
  // Chains that jump to each other are among the kept inputs: each costs as much as thousands of others.
  corpus: () => captured(["nft_native.json", "nft_of_iptables.json"]),
  words: [
    '{"drop":null}',
    '{"accept":null}',
    '{"jump":{"target":"input"}}',
    '"vmap":',
    '"match":',
    "null",
  ]
    .concat(['{"prefix":{"addr":"x","len":8}}', '"@set"', '{"range":[1,2]}', '{"xt":null}']),
  feed(bytes): boolean {
    const ruleset = orRefused(() => parseRuleset(textOf(bytes)), Error)?.value ?? null;
    if (ruleset === null) return false;
    isOfIptables(ruleset, "ip", "filter");
    for (const packet of PACKETS) {
      const { fate, by } = judgeNft(ruleset, packet);
      mustHold(["accept", "drop", "unknown"].includes(fate), `fate ${fate}`);
      mustHold(fate === "accept" || by !== "", "a verdict without a rule");
    }
    return true;
  },
});

const iptablesTarget = stateless({
  name: "iptables",
  files: ["doctor/iptables_rules.ts"],
  weight: 5,
  maxBytes: 20_000,
  corpus: () => captured(["iptables.txt"]),
  words: [
    "-A INPUT ",
    "-P INPUT DROP\n",
    "-j DROP",
    "-j ACCEPT",
    " ! ",
    "-s 10.0.0.0/8",
    "--dport 5060",
  ]
    .concat([
      "-m ",
      "-g A",
      "-j A\n",
      "RETURN",
      '"',
      "\\",
      "--syn ",
      "-s x/y",
      "-i eth+",
      "\n",
      "-s ::/0",
    ]),
  feed(bytes): boolean {
    let decided = false;
    for (const packet of PACKETS) {
      if (packet.family === "arp") continue;
      const { fate, by } = judgeIptables(textOf(bytes), packet);
      mustHold(["accept", "drop", "unknown"].includes(fate), `fate ${fate}`);
      mustHold(fate === "accept" || by !== "", "a verdict without a rule");
      decided ||= fate !== "accept";
    }
    return decided;
  },
});

/** Small texts of tools and files, all at once: none of them may fail, whatever it reads. */
const textTarget = stateless({
  name: "tool-text",
  files: [
    "doctor/addresses_parse.ts",
    "doctor/asterisk_conf.ts",
    "doctor/ini.ts",
    "doctor/rivals_parse.ts",
  ]
    .concat(["runtime/idle.ts", "setup/found.ts", "vip/tables.ts", "replication/files.ts"]),
  weight: 6,
  maxBytes: 8000,
  corpus: () =>
    [
      '[options]\nsystemname = pbx1 ; a comment\n#include "extra.conf"\nautosystemname=>yes\n',
      "[Network]\nRequiredForOnline=no\nRequiredForOnline=\n",
      "eth0:connected\neth\\:1:unmanaged\n",
      "  2 eth0 ether routable configured\n",
      "auto eth0\niface eth0 inet static\n  address 10.20.0.11/24\niface eth0 inet6 auto\\\n x\n",
      "   12 dhclient /sbin/dhclient -pf /run/x eth0\n 13 keepalived /usr/sbin/keepalived\n",
      "*/5 * * * * root xivo-check-master-status 10.20.0.11\n",
      '{"node_type":"master","remote_address":"10.20.0.12"}',
      "255\tlocal\n254 main\n0x10 hex\n# 9 no\n",
      "Number of files: 1,234 (reg: 5)\nNumber of created files: 3\nNumber of deleted files: 0\n",
      "2 active calls\n3 calls processed\n",
      "Asterisk 16.28.0~dfsg-0+deb11u4\n",
    ].map(bytesOf),
  words: [
    "\n",
    ";",
    "=",
    "=>",
    "[options]",
    "#include ",
    ":",
    "\\:",
    "iface ",
    "0x",
    "99999999999 ",
    "  ",
  ],
  feed(bytes): boolean {
    const text = textOf(bytes);
    const conf = parseAsteriskConf(text);
    mustHold(conf.systemName === null || conf.systemName !== "", "an empty systemname");
    parseAsteriskVersion(text);
    const value = lastValue(text, "Network", "RequiredForOnline");
    if (value !== null) asBoolean(value);
    for (const state of addresses.parseNmcli(text).values()) addresses.isManaged(state);
    addresses.parseNetworkctl(text);
    addresses.networkFileOf(text);
    addresses.parseInterfacesFile(text);
    addresses.namesAddress(text, "10.20.0.11");
    const processes = addresses.parseProcesses(text);
    for (const { pid } of processes) mustHold(Number.isFinite(pid), `pid ${pid}`);
    addresses.dhcpClientsOn("eth0", processes);
    rivalsAmong(processes);
    nodeTypeOf(text);
    haJobsOf(text);
    const ha = parseHaConf(text);
    mustBePlain(ha);
    for (const [name, table] of parseTables(text)) {
      mustHold(
        Number.isSafeInteger(table) && table >= 0 && table <= 0xffffffff,
        `table ${name} is ${table}`,
      );
    }
    const calls = readCalls(text);
    mustHold(calls === null || (calls >= 0 && Number.isFinite(calls)), `${calls} calls`);
    const stats = parseStats(text);
    for (const number of Object.values(stats)) mustHold(number >= 0, `${number} files`);
    return conf.systemName !== null || ha !== null || processes.length > 0 || calls !== null;
  },
});

const listTarget = stateless({
  name: "file-lists",
  files: ["replication/tree_list.ts", "replication/file_list.ts"],
  weight: 10,
  maxBytes: 6000,
  corpus: () =>
    [
      "f\t45056\t1700000000.1234567890\tdefault/100/INBOX/msg0000.wav",
      "l\t9\t-1.5\tname with\nline feed",
      "-rw-r--r--          1,234 2026/01/31 12:00:00 a\\#303\\#251/b",
      "drwxr-xr-x             80 2026/01/31 12:00:00 .",
    ].map(bytesOf),
  words: [
    "\t",
    "f\t",
    "\\#",
    "\\#377",
    "\\#303\\#251",
    ",",
    "-rw-r--r-- ",
    "2026/01/31 12:00:00 ",
    "../",
  ],
  feed(bytes): boolean {
    const record = parseTreeRecord(bytes);
    if (record !== null) {
      const [name, { kind, size, mtime }] = record;
      mustHold(name !== "" && concat(bytes).includes(9), "a name without a record");
      mustHold(kind === "f" || kind === "l", `kind ${kind}`);
      mustHold(Number.isSafeInteger(size) && size >= 0, `size ${size}`);
      mustHold(/^-?[0-9]+\.[0-9]{9}$/.test(mtime), `time ${mtime}`);
    }
    const listed = parseListLine(textOf(bytes));
    if (listed === null) return record !== null;
    mustHold(Number.isSafeInteger(listed.size) && listed.size >= 0, `size ${listed.size}`);
    const plain = plainName(listed.name);
    if (plain !== null) mustHold(plain.length <= listed.name.length, "a name that grew");
    return true;
  },
});

const astdbTarget = stateless({
  name: "astdb-format",
  files: ["replication/astdb_format.ts"],
  weight: 4,
  maxBytes: 200,
  async corpus(): Promise<Uint8Array[]> {
    const folder = new URL("../../support/golden/", import.meta.url);
    const berkeley = await Deno.readFile(new URL("astdb_berkeley_1_85", folder));
    return [
      bytesOf("SQLite format 3\0" + "x".repeat(40)),
      berkeley.slice(0, 64),
      Uint8Array.of(0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, 0, 0, 0, 1, 5, 5),
    ];
  },
  feed(bytes): boolean {
    const format = detectFormat(bytes);
    isHotJournal(bytes);
    const fault = format === "berkeley" ? findBerkeleyFault(bytes, bytes.length * 64) : null;
    mustHold(fault === null || fault.length < 200, "a fault that is too long");
    return format !== null;
  },
});

/** All of them. */
export const TOOL_TARGETS: readonly Target[] = [
  ipTarget,
  monitorTarget,
  unitTarget,
  nftTarget,
  iptablesTarget,
  textTarget,
  listTarget,
  astdbTarget,
];
