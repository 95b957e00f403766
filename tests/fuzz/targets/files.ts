/**
 * Files that people write or that a crash may have cut, and what tools print: configuration, keys, pairing,
 * the state directory.
 *
 * @module
 */

import { readKeys } from "../../../src/heartbeat/key.ts";
import { KeyError } from "../../../src/heartbeat/key.ts";
import { contains, formatCidr, formatIp, parseCidr, parseIp } from "../../../src/config/address.ts";
import { parseDatabaseUrl } from "../../../src/config/database_url.ts";
import { isPlainPath, parseDuration, parseSize } from "../../../src/config/fields.ts";
import { ConfigError, formatIssue, parseConfig } from "../../../src/config/load.ts";
import { parseShieldPort } from "../../../src/config/shield_port.ts";
import {
  peerLine,
  peerLines,
  withoutPeerLines,
  withPeerLine,
} from "../../../src/pairing/authorized_keys.ts";
import { parsePeer } from "../../../src/pairing/first_contact.ts";
import { pinnedKeys, withoutPins, withPins } from "../../../src/pairing/known_hosts.ts";
import * as pair from "../../../src/pairing/protocol.ts";
import { fingerprintOfKey, publicKeyOf } from "../../../src/pairing/public_key.ts";
import { DatabaseChanges } from "../../../src/replication/database_changes.ts";
import { readAstdbOrigin } from "../../../src/replication/astdb_origin.ts";
import { readArming } from "../../../src/replication/logical/arming.ts";
import { ReturnState } from "../../../src/replication/return/return_state.ts";
import { ReturnBase } from "../../../src/replication/return_base.ts";
import { SetStates } from "../../../src/replication/set_state.ts";
import { Spool } from "../../../src/replication/spool.ts";
import { readDatabaseRecord } from "../../../src/replication/verify/database_record.ts";
import { isOnNetworks } from "../../../src/runtime/allow_list.ts";
import { History, HISTORY_SHOWN } from "../../../src/runtime/history.ts";
import { Memory } from "../../../src/runtime/memory.ts";
import { readVerification } from "../../../src/runtime/verification.ts";
import { bytesOf, jsonOf, textOf } from "../bytes.ts";
import {
  mustBePlain,
  mustEqual,
  mustHold,
  orRefused,
  stateless,
  type Subject,
  type Target,
} from "../target.ts";

const CONF = new URL("../../../packaging/conf/", import.meta.url);

async function samples(): Promise<Uint8Array[]> {
  const names = ["relais.toml", "examples/no-vip.toml", "examples/ipv6.toml"];
  const texts = await Promise.all(names.map((name) => Deno.readTextFile(new URL(name, CONF))));
  // Without comments, so that a mutation more often meets something; with those that are keys, as keys.
  const bare = texts.map((text) =>
    text.replaceAll(/^# (?=\w+ = |\[)/gm, "").replaceAll(/(^|\s)#[^\n]*/g, "").replaceAll(
      /\n\s*\n/g,
      "\n",
    )
  );
  return [...texts, ...bare, ...texts.map((text) => text.replaceAll(/^\s*#[^\n]*\n/gm, ""))].map(
    bytesOf,
  );
}

const tomlTarget = stateless({
  name: "toml",
  files: ["config/load.ts", "config/schema.ts", "config/networks_section.ts", "config/fields.ts"]
    .concat(["config/timing_section.ts", "config/services_section.ts", "config/hooks_section.ts"])
    .concat([
      "config/replication_section.ts",
      "config/routes_section.ts",
      "config/failback_section.ts",
    ]),
  weight: 6,
  maxBytes: 66_000,
  corpus: samples,
  words: [
    "[",
    "[[",
    "]]",
    "]",
    "=",
    '"',
    "'''",
    '"""',
    "\n",
    "#",
    "{",
    "}",
    ",",
    ".",
    "true",
    "inf",
    "nan",
  ]
    .concat([
      "__proto__",
      "networks",
      "cluster",
      "[__proto__]",
      "a.b.c",
      "1979-05-27",
      '"10.20.0.10"',
    ])
    .concat([
      '"fd00::1"',
      '"1h"',
      '"../x"',
      "0x1F",
      "1e9",
      "-1",
      '"\\u0000"',
      "services",
      "replication",
    ]),
  feed(bytes): boolean {
    const text = textOf(bytes);
    let config;
    try {
      config = parseConfig(text);
    } catch (error) {
      mustHold(error instanceof ConfigError, () => `it threw ${String(error)}`);
      mustHold(error.issues.length > 0 && error.issues.length < 1000, "its issues");
      for (const issue of error.issues) {
        mustHold(/^.+: .+ \(got [^]*\)$/.test(formatIssue(issue)), formatIssue(issue));
        mustHold(formatIssue(issue).length < 2000, "an issue that is too long");
      }
      return false;
    }
    mustBePlain(config);
    mustHold(/^[0-9a-f]{64}$/.test(config.fingerprint), "its fingerprint");
    mustEqual(parseConfig(text).fingerprint, config.fingerprint, "its fingerprint again");
    for (const { master, slave, prefix, vips } of config.networks) {
      const subnet = parseCidr(`${master}/${prefix}`);
      mustHold(subnet !== null, `network ${master}/${prefix}`);
      for (
        const address of [slave, ...vips.map(String)].filter((one) => /^[0-9a-f.:]+$/.test(one))
      ) {
        const ip = parseIp(address);
        mustHold(
          ip !== null && contains(subnet, ip),
          `${address} outside of ${formatCidr(subnet)}`,
        );
      }
    }
    for (const path of config.replication.files?.paths ?? []) {
      mustHold(isPlainPath(path.replace(/\/$/, "")), `path ${path}`);
    }
    return true;
  },
});

const URLS = ["postgresql:///asterisk", "postgres:///asterisk?host=/run/postgresql&port=5433"];

/** The small texts inside of a configuration. */
const wordTarget = stateless({
  name: "config-words",
  files: [
    "config/database_url.ts",
    "config/fields.ts",
    "config/shield_port.ts",
    "config/address.ts",
  ]
    .concat(["runtime/allow_list.ts", "pairing/first_contact.ts", "os/ip_bytes.ts"]),
  weight: 20,
  maxBytes: 300,
  corpus: () =>
    [
      ...URLS,
      "30s",
      "20MiB",
      "udp:5060",
      "10.20.0.0/24",
      "fd00::12",
      "::ffff:1.2.3.4",
      "root@10.0.0.1",
    ]
      .concat(["fd00:0:0:1::/64", "2001:DB8::1", "1:2:3:4:5:6:7:8", "admin@pbx2.example.org"]).map(
        bytesOf,
      ),
  words: [
    "::",
    ".",
    ":",
    "/",
    "?host=",
    "&port=",
    "%",
    "@",
    "ms",
    "KiB",
    "udp:",
    "postgresql:///",
    "-o",
  ],
  feed(bytes): boolean {
    const text = textOf(bytes);
    let accepted = false;
    const ip = parseIp(text);
    if (ip !== null) {
      accepted = true;
      mustEqual(parseIp(formatIp(ip)), ip, "canonical address again");
      mustEqual(formatIp(parseIp(formatIp(ip))!), formatIp(ip), "canonical twice");
      const networks = [{ master: "10.20.0.11", prefix: 24 }];
      const allowed = isOnNetworks(text, networks as unknown as Parameters<typeof isOnNetworks>[1]);
      mustHold(!allowed || formatIp(ip).startsWith("10.20.0."), `${text} may ask`);
    }
    const cidr = parseCidr(text);
    if (cidr !== null) mustEqual(parseCidr(formatCidr(cidr)), cidr, "prefix again");
    const place = parseDatabaseUrl(text);
    if (!("error" in place)) {
      mustHold(/^[A-Za-z0-9_$-]{1,50}$/.test(place.name), `database ${place.name}`);
      mustHold(
        place.socketDir === null || isPlainPath(place.socketDir),
        `socket ${place.socketDir}`,
      );
      mustHold(
        place.port === null || (place.port > 0 && place.port < 65_536),
        `port ${place.port}`,
      );
      accepted = true;
    }
    for (const number of [parseDuration(text), parseSize(text)]) {
      if (number !== null) mustHold(Number.isSafeInteger(number) && number > 0, `number ${number}`);
      accepted ||= number !== null;
    }
    const port = parseShieldPort(text);
    if (port !== null) mustEqual(`${port.protocol}:${port.port}`, text, "port again");
    const peer = parsePeer(text);
    if (peer !== null) {
      mustHold(
        !peer.host.startsWith("-") && !peer.user.startsWith("-"),
        "it would be an option of ssh",
      );
      mustHold(!/[\s'"$`;&|<>\0]/.test(peer.user + peer.host), "odd characters for ssh");
    }
    return accepted || peer !== null || port !== null;
  },
});

/** Kind and key, each with its length in front (RFC 8709 section 4). */
const BLOB = bytesOf(`\0\0\0\x0bssh-ed25519\0\0\0\x20${"k".repeat(32)}`).toBase64();
const PUBLIC = `ssh-ed25519 ${BLOB}`;
const LINE = peerLine({
  publicKey: PUBLIC,
  command: ["/usr/bin/relais", "receive"],
  addresses: ["10.20.0.12"],
});

const authorizedTarget = stateless({
  name: "authorized-keys",
  files: ["pairing/authorized_keys.ts"],
  weight: 10,
  maxBytes: 8000,
  corpus: () =>
    [
      `# root's\nssh-rsa ${"B".repeat(80)} admin@desk\n${LINE}\n`,
      `command="echo 'a b'",no-pty ssh-ed25519 ${BLOB} old relais-peer\r\n\n`,
      `ecdsa-sha2-nistp256 ${"C".repeat(60)}= x\n${LINE}`,
    ].map(bytesOf),
  words: [
    PUBLIC,
    LINE,
    "relais-peer",
    " relais-peer",
    "\n",
    "\r\n",
    "#",
    "restrict",
    'command="',
    "ssh-rsa ",
  ],
  feed(bytes): boolean {
    const text = textOf(bytes);
    const mine = new Set(peerLines(text, PUBLIC));
    const others = text.split("\n").filter((line) => line.trim() !== "" && !mine.has(line));
    const after = withPeerLine(text, LINE);
    const kept = after.split("\n").filter((line) => line.trim() !== "" && line !== LINE);
    mustEqual(kept, others.filter((line) => line !== LINE), "the lines of others");
    mustEqual(peerLines(after, PUBLIC), [LINE], "the line of the peer");
    mustEqual(withPeerLine(after, LINE), after, "a second time");
    mustEqual(peerLines(withoutPeerLines(after, PUBLIC), PUBLIC), [], "taken out again");
    return mine.size > 0;
  },
});

const knownHostsTarget = stateless({
  name: "known-hosts",
  files: ["pairing/known_hosts.ts", "pairing/public_key.ts"],
  weight: 10,
  maxBytes: 8000,
  corpus: () =>
    [
      `10.20.0.12 ${PUBLIC}\n[10.20.0.13]:2222 ssh-rsa AAAA\n|1|abc= ssh-rsa AAAA\n`,
      `a,10.20.0.12,b ${PUBLIC} comment\n@revoked * ${PUBLIC}`,
      `${PUBLIC} root@x`,
    ].map(bytesOf),
  words: [
    "10.20.0.12",
    "[10.20.0.12]:2222",
    PUBLIC,
    "ssh-ed25519 ",
    BLOB,
    ",",
    " ",
    "\n",
    "|1|",
    "@cert-authority ",
  ],
  feed(bytes): boolean {
    const text = textOf(bytes);
    for (const port of [22, 2222]) {
      const who = { addresses: ["10.20.0.12", "fd00::12"], port };
      const after = withPins(text, { ...who, hostKey: PUBLIC });
      mustEqual(pinnedKeys(after, who), [PUBLIC], "the pinned key");
      mustEqual(withPins(after, { ...who, hostKey: PUBLIC }), after, "a second time");
      mustEqual(pinnedKeys(withoutPins(after, who), who), [], "taken out again");
    }
    const key = publicKeyOf(text);
    if (key === null) return false;
    mustHold(/^ssh-ed25519 [A-Za-z0-9+/=]+$/.test(key), `key ${key}`);
    mustEqual(publicKeyOf(key), key, "key again");
    mustHold(/^SHA256:[A-Za-z0-9+/]{43}$/.test(fingerprintOfKey(key)), "its fingerprint");
    return true;
  },
});

const pairTarget = stateless({
  name: "pairing",
  files: ["pairing/protocol.ts", "pairing/serve.ts", "pairing/remote_host.ts"],
  weight: 8,
  maxBytes: 8000,
  json: true,
  corpus: () =>
    [
      {
        do: "inspect",
        config: "[cluster]\n",
        paths: { config: "/etc/relais/relais.toml", key: "/k" },
        program: null,
      },
      { do: "write", file: "knownHosts", text: "x", backup: true },
      { do: "hello", addresses: ["10.20.0.12"] },
      { do: "undo" },
      { relais: "pair-peer", protocol: 1, version: "0.1.0", problem: null },
      { ok: true, answer: { results: [] } },
      { ok: false, error: "no" },
    ].map(jsonOf),
  words: [
    '"do":',
    '"write"',
    '"file"',
    '"config"',
    '"/etc/shadow"',
    '"authorizedKeys"',
    "null",
    "../",
  ],
  feed(bytes): boolean {
    const json = orRefused(() => JSON.parse(textOf(bytes)) as unknown, SyntaxError);
    if (json === null) return false;
    const request = pair.requestSchema.safeParse(json.value);
    if (request.success) {
      mustBePlain(request.data);
      if (request.data.do === "write") {
        mustHold(pair.PAIR_FILES.includes(request.data.file), "a file that nobody named");
      }
      if (request.data.do === "inspect") {
        for (const path of Object.values(request.data.paths)) mustHold(path.startsWith("/"), path);
      }
    }
    const others = [pair.greetingSchema, pair.envelopeSchema, ...Object.values(pair.ANSWERS)];
    for (const schema of others) schema.safeParse(json.value);
    return request.success || pair.greetingSchema.safeParse(json.value).success;
  },
});

/** By what the content of each file of the state directory is told. */
const SIGNS = ["failbackHeld", "uptimeMs", '"why"', '"lastSuccess', '"installed"', "seededSchema"]
  .concat(["atWallMs", '"paths"', "0a1b2c3d", '"trailer"', '"signature"', "# key"]);
const HISTORY = {
  at: "2026-01-31T12:00:00.000Z",
  rule: "S-TAKE",
  from: "standby",
  to: "active",
  why: "x",
};
const SET_STATE = {
  set: "astdb",
  direction: "sent",
  snapshotWallMs: 1,
  epoch: 4,
  origin: "master",
};
const TREE = { version: 1, paths: { "/a": [["b", "f", 1, "1.000000000"]], "__proto__": [] } };

/** What a crash, a full disk or a person may leave in the state directory. */
const stateTarget: Target = {
  name: "state-files",
  files: [
    "runtime/memory.ts",
    "runtime/history.ts",
    "runtime/verification.ts",
    "replication/set_state.ts",
  ]
    .concat([
      "replication/spool.ts",
      "replication/astdb_origin.ts",
      "replication/logical/arming.ts",
    ])
    .concat([
      "replication/return_base.ts",
      "replication/return/return_state.ts",
      "heartbeat/key.ts",
    ])
    .concat(["replication/database_changes.ts", "replication/verify/database_record.ts"])
    .concat(["replication/verify/spool_proof.ts"]),
  weight: 0.5,
  maxBytes: 8000,
  json: true,
  corpus: () => [
    ...[
      { version: 1, epoch: 4, role: "master", failbackHeld: false, witnesses: ["10.20.0.254"] },
      { version: 1, state: "active", serving: true, epoch: 4, bootId: "b00t", uptimeMs: 5000 },
      {
        ...SET_STATE,
        size: 1,
        sha256: "a",
        durationMs: 1,
        lastSuccessWallMs: 1,
        lastError: null,
        lastErrorWallMs: null,
      },
      { epoch: 4, installed: { origin: "master", snapshotWallMs: 1, sha256: "a" } },
      { armed: true, seededSchema: "abc" },
      { atWallMs: 1.7e12, durationMs: 5, result: "equal", text: "all" },
      TREE,
      { "0a1b2c3d": "master" },
      {
        header: {
          version: 1,
          set: "astdb",
          epoch: 4,
          origin: "master",
          snapshotWallMs: 1,
          fingerprint: "a",
          detail: {},
        },
        trailer: { size: 3, sha256: "a".repeat(64) },
        receivedWallMs: 5,
      },
    ].map(jsonOf),
    bytesOf(`${JSON.stringify(HISTORY)}\n${JSON.stringify(HISTORY)}\n`),
    bytesOf(`# key\n${"QUJD".repeat(12)}\n`),
    bytesOf(`${"0a".repeat(32)}\n`),
  ],
  words: ["\n", "\0", "{", "}", '"version":1', '"epoch":', "null", "1e308", "8.64e15", "-8.65e15"],
  async open(): Promise<Subject> {
    const dir = await Deno.makeTempDir({ dir: await tmpfs(), prefix: "relais-fuzz-" });
    for (const part of ["sets", "spool/astdb", "proofs", "return"]) {
      await Deno.mkdir(`${dir}/${part}`, { recursive: true });
    }
    await Deno.writeTextFile(`${dir}/spool/astdb/4-1-aaaaaaaa`, "abc");
    const boot = { id: "b00t", uptimeMs: () => 10_000 };
    return {
      async feed(bytes, random): Promise<boolean> {
        let said = 0;
        const onTrouble = (text: string): void => {
          said++;
          mustHold(text.length < 20_000, "a trouble that is too long");
        };
        const put = (name: string): void =>
          Deno.writeFileSync(`${dir}/${name}`, bytes, { mode: 0o600 });
        const memory = new Memory({ stateDir: dir, runDir: dir, boot, onTrouble });
        const text = textOf(bytes);
        const own = SIGNS.findIndex((sign) => text.includes(sign));
        // Mostly where it belongs, else where it does not.
        switch (own === -1 || random.oneIn(4) ? random.below(SIGNS.length) : own) {
          case 0: {
            put("state.json");
            const found = memory.load();
            mustHold(found !== null || said === 1, "damage that nobody was told of");
            if (found === null) return false;
            mustHold(Number.isSafeInteger(found.epoch) && found.epoch >= 0, `epoch ${found.epoch}`);
            memory.save(found);
            mustEqual(memory.load(), found, "saved and loaded");
            return true;
          }
          case 1: {
            put("serving.json");
            const found = memory.previous();
            mustHold(found === null || found.agoMs >= 0, "an age below 0");
            return found !== null;
          }
          case 2: {
            put("history.jsonl");
            const history = new History({ stateDir: dir, onTrouble });
            const before = history.entries.length;
            history.add(HISTORY as Parameters<History["add"]>[0]);
            const again = new History({ stateDir: dir, onTrouble }).entries;
            mustEqual(again.length, Math.min(HISTORY_SHOWN, before + 1), "an entry more");
            mustEqual(again.at(-1), HISTORY, "the entry that was added");
            return before > 0;
          }
          case 3: {
            put("sets/astdb.sent.json");
            const state = new SetStates(dir, onTrouble).read("astdb", "sent");
            mustEqual([state.set, state.direction], ["astdb", "sent"], "what it speaks of");
            mustBePlain(state);
            return said === 0;
          }
          case 4: {
            put("sets/astdb.origin.json");
            const origin = readAstdbOrigin(dir);
            mustBePlain(origin);
            return origin !== null;
          }
          case 5:
            put("stream.json");
            return readArming(dir).armed;
          case 6: {
            put("verify.json");
            const found = readVerification(dir, { wallMs: 1.8e12, everyMs: 1000, standsBy: true });
            mustHold((found?.ageMs ?? 0) >= 0, "an age below 0");
            mustBePlain(found);
            return found !== null;
          }
          case 7: {
            put("sets/files.return.json");
            const base = new ReturnBase(dir);
            for (const path of ["/a", "__proto__", "toString", "constructor"]) {
              const tree = await base.read(path);
              mustHold(tree === null || tree instanceof Map, `${path} is no tree`);
            }
            await base.write("/b", new Map());
            mustEqual((await base.read("/b"))?.size, 0, "the list that was written");
            return await base.read("/a") !== null;
          }
          case 8: {
            put("return/decisions.json");
            const decisions = await new ReturnState(dir).decisions();
            mustBePlain(decisions);
            return Object.keys(decisions).length > 0;
          }
          case 9: {
            put("spool/astdb/4-1-aaaaaaaa.json");
            const found = await new Spool(dir, "astdb").generations();
            mustHold(found.length <= 1, "more generations than files");
            mustBePlain(found);
            return found.length > 0;
          }
          case 10: {
            put("sets/database.signatures.json");
            new DatabaseChanges(dir);
            put("proofs/database.5.json");
            return await readDatabaseRecord(dir, 5) !== null;
          }
          default: {
            put("key");
            const keys = orRefused(() => readKeys(`${dir}/key`), KeyError)?.value ?? null;
            for (const key of keys ?? []) {
              mustHold(key.length >= 32, `a key of ${key.length} bytes`);
            }
            return keys !== null;
          }
        }
      },
      async close(): Promise<void> {
        await Deno.remove(dir, { recursive: true });
      },
    };
  },
};

/** Memory rather than a disk, where there is some. */
async function tmpfs(): Promise<string> {
  const place = "/dev/shm";
  return await Deno.stat(place).then(() => place, () => "/tmp");
}

/** All of them. */
export const FILE_TARGETS: readonly Target[] = [
  tomlTarget,
  wordTarget,
  authorizedTarget,
  knownHostsTarget,
  pairTarget,
  stateTarget,
];
