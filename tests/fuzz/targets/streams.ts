/**
 * Readers of byte streams. Whatever the pieces are in which the bytes arrive, the result is the same.
 *
 * @module
 */

import { systemClock } from "../../../src/os/clock.ts";
import { ByteReader, CutStreamError } from "../../../src/replication/byte_reader.ts";
import { LineTooLongError, readLines } from "../../../src/replication/json_lines.ts";
import {
  decodeHead,
  decodeNumber,
  encodeFrame,
  encodeOffset,
  encodeStatus,
  FRAME,
  FRAME_HEAD_BYTES,
  MAX_CONTENT_BYTES,
} from "../../../src/replication/lasting_frames.ts";
import { LastingPipe } from "../../../src/replication/lasting_pipe.ts";
import type { SetHeader, SetTrailer } from "../../../src/replication/set_header.ts";
import { readSetStream, SetStreamError, writeSetStream } from "../../../src/replication/stream.ts";
import {
  encodePiece,
  encodeTablesManifest,
  PieceReader,
  TablesFormatError,
  type TablesManifest,
} from "../../../src/replication/tables_format.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { bytesOf, chunksOf, concat, dripOf, streamOf, textOf } from "../bytes.ts";
import type { Random } from "../random.ts";
import { mustBePlain, mustEqual, mustHold, orRefused, orRefusedLater } from "../target.ts";
import { stateless, type Target } from "../target.ts";

/** What `read` makes of the bytes in one piece and in many. */
async function bothWays<T>(
  bytes: Uint8Array,
  random: Random,
  read: (source: ReadableStream<Uint8Array>) => Promise<T>,
): Promise<T> {
  const whole = await read(streamOf([bytes]));
  mustEqual(await read(streamOf(chunksOf(bytes, random))), whole, "in pieces");
  return whole;
}

const lineTarget = stateless({
  name: "byte-reader",
  files: ["replication/byte_reader.ts"],
  weight: 2,
  maxBytes: 3000,
  corpus: () => ['{"a":1}\nrest\n\n\nxyz', "a".repeat(200) + "\n", "\n\n\n"].map(bytesOf),
  words: ["\n", "\r\n", "{", "}"],
  async feed(bytes, random): Promise<boolean> {
    const program = Array.from({ length: 6 }, () => random.pick([-60, -1, 0, 1, 2, 5, 64]));
    const said = await bothWays(bytes, random, async (source) => {
      const reader = new ByteReader(source, { clock: new ManualClock(), idleMs: 1000 });
      const parts: string[] = [];
      for (const step of program) {
        const part = await orRefusedLater(
          () => step < 0 ? reader.readLine(-step) : reader.readExactly(step),
          RangeError,
          CutStreamError,
        );
        if (part === null) {
          parts.push("refused");
          break;
        }
        mustHold(step < 0 ? part.value.length <= -step : part.value.length === step, "a length");
        parts.push(textOf(part.value));
      }
      await reader.cancel("over");
      return parts;
    });
    return !said.includes("refused");
  },
  async drip(bytes): Promise<void> {
    const reader = new ByteReader(dripOf(bytes), { clock: systemClock, idleMs: 60_000 });
    await orRefusedLater(() => reader.readLine(5000), RangeError, CutStreamError);
  },
});

const jsonLinesTarget = stateless({
  name: "json-lines",
  files: ["replication/json_lines.ts"],
  weight: 2,
  maxBytes: 3000,
  corpus: () => ['{"a":1}\n{"b":"é"}\n', `${"x".repeat(101)}\nshort\n`, "\n\nlast"].map(bytesOf),
  words: ["\n", "\r\n", "é", "x".repeat(99), "x".repeat(100), "x".repeat(101)],
  async feed(bytes, random): Promise<boolean> {
    const read = await bothWays(bytes, random, async (source) => {
      const lines: string[] = [];
      const done = await orRefusedLater(async () => {
        for await (const line of readLines(source, 100)) lines.push(line);
        return true;
      }, LineTooLongError);
      // What came before a line that is too long may have been handed out or not.
      return done === null ? null : lines;
    });
    for (const line of read ?? []) mustHold(bytesOf(line).length <= 300, "a line that is too long");
    return read !== null;
  },
  async drip(bytes): Promise<void> {
    await orRefusedLater(async () => {
      for await (const _ of readLines(dripOf(bytes), 5000));
    }, LineTooLongError);
  },
});

const HEADER = {
  version: 1,
  set: "astdb",
  epoch: 4,
  origin: "master",
  snapshotWallMs: 1_760_000_000_000,
  fingerprint: "ab12",
  detail: { schema: "x" },
} as const;

async function setStream(payload: Uint8Array): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const sink = new WritableStream<Uint8Array>({
    write(part): void {
      parts.push(new Uint8Array(part));
    },
  });
  await writeSetStream(sink, HEADER, streamOf([payload]), { clock: systemClock });
  return concat(...parts);
}

interface TakenSet {
  readonly header: SetHeader;
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly trailer: SetTrailer;
}

/** Null: refused. */
async function takeSet(source: ReadableStream<Uint8Array>): Promise<TakenSet | null> {
  const found = await orRefusedLater(async () => {
    const incoming = await readSetStream(source, { clock: new ManualClock() });
    const payload = new Uint8Array(await new Response(incoming.payload).arrayBuffer());
    return { header: incoming.header, payload, trailer: await incoming.done };
  }, SetStreamError);
  return found?.value ?? null;
}

/** What is taken of the bytes up to one of their line feeds that is not their last byte. */
async function takeShorter(bytes: Uint8Array): Promise<TakenSet | null> {
  for (
    let at = bytes.indexOf(10);
    at !== -1 && at < bytes.length - 1;
    at = bytes.indexOf(10, at + 1)
  ) {
    const taken = await takeSet(streamOf([bytes.subarray(0, at + 1)]));
    if (taken !== null) return taken;
  }
  return null;
}

const setStreamTarget = stateless({
  name: "set-stream",
  files: ["replication/stream.ts"],
  weight: 2,
  maxBytes: 5000,
  corpus: () =>
    Promise.all(
      [bytesOf("payload"), new Uint8Array(0), new Uint8Array(700).fill(9)].map(setStream),
    ),
  words: ["\n", '"epoch":', '"size":', '"sha256":', "\0\0\0\0", "\0\0\0\x01"],
  async feed(bytes, random): Promise<boolean> {
    const whole = await takeSet(streamOf([bytes]));
    const pieces = await takeSet(streamOf(chunksOf(bytes, random)));
    const taken = whole ?? pieces;
    if (taken === null) return false;
    // What follows the trailer is seen or not, depending on how it arrives: then the copy is refused or
    // taken, and if it is taken, it is the one that ended at the trailer.
    if (whole === null || pieces === null) {
      mustEqual(await takeShorter(bytes), taken, "a part of it");
    } else mustEqual(pieces, whole, "in pieces");
    mustBePlain(taken.header);
    mustEqual(taken.payload.length, taken.trailer.size, "its size");
    const hash = await crypto.subtle.digest("SHA-256", taken.payload as Uint8Array<ArrayBuffer>);
    mustEqual(new Uint8Array(hash).toHex(), taken.trailer.sha256, "its digest");
    return true;
  },
});

const frameTarget = stateless({
  name: "lasting-frames",
  files: ["replication/lasting_frames.ts"],
  weight: 5,
  maxBytes: 70_000,
  corpus: () => pipeStreams().slice(0, 3),
  feed(bytes): boolean {
    const head = orRefused(() => decodeHead(bytes), RangeError)?.value ?? null;
    if (head === null) return false;
    mustHold(head.length >= 0 && head.length <= MAX_CONTENT_BYTES, `length ${head.length}`);
    const content = bytes.subarray(FRAME_HEAD_BYTES, FRAME_HEAD_BYTES + head.length);
    if (content.length < head.length) return true;
    mustEqual(encodeFrame(head.kind, content), bytes.subarray(0, 5 + head.length), "again");
    if (head.kind === FRAME.read || head.kind === FRAME.end) {
      const number = decodeNumber(content);
      mustHold(Number.isInteger(number) && number >= 0, `number ${number}`);
    }
    return true;
  },
});

function pipeStreams(): Uint8Array[] {
  const data = (text: string): Uint8Array => encodeFrame(FRAME.data, bytesOf(text));
  const read = encodeFrame(FRAME.read, encodeOffset(0));
  const end = encodeFrame(FRAME.end, encodeStatus(0));
  return [
    concat(read, data("hello"), end),
    concat(read, encodeFrame(FRAME.gaveUp, bytesOf("the disk is full"))),
    concat(data("a"), data("b"), encodeFrame(FRAME.end, encodeStatus(77))),
    concat(read, data(""), data(""), data("x".repeat(300)), end, end),
  ];
}

/** A peer that sends frames and is never read: what is kept of them is bounded. */
const pipeTarget = stateless({
  name: "lasting-pipe",
  files: ["replication/lasting_pipe.ts", "replication/unread.ts"],
  weight: 1,
  maxBytes: 20_000,
  corpus: pipeStreams,
  words: [
    "\x01\0\0\0\0",
    "\x02\0\0\0\x08\0\0\0\0\0\0\0\0",
    "\x03\0\0\0\x04\0\0\0\0",
    "\x04\0\0\0\0",
  ],
  async feed(bytes, random): Promise<boolean> {
    const hear = async (chunks: readonly Uint8Array[]): Promise<unknown> => {
      const clock = new ManualClock();
      const pipe = new LastingPipe({ clock, patienceMs: 10 });
      const closed = Promise.withResolvers<void>();
      const reader = new ByteReader(streamOf(chunks), { clock, idleMs: 1000 });
      pipe.attach({
        reader,
        write: () => Promise.resolve(),
        close: () => closed.resolve(),
        otherHasRead: null,
      });
      // The stream of frames ends, so the connection breaks and is closed in any case.
      await closed.promise;
      const parts: Uint8Array[] = [];
      const read = (async (): Promise<string> => {
        try {
          for await (const part of pipe.readable) parts.push(part);
          return "ended";
        } catch (error) {
          return String(error);
        }
      })();
      await clock.advance(20);
      const how = await read;
      pipe.fail(new Error("over"));
      const status = await pipe.ended.catch(() => null);
      return [textOf(concat(...parts)), how, status];
    };
    const whole = await hear([bytes]);
    mustEqual(await hear(chunksOf(bytes, random)), whole, "in pieces");
    return (whole as unknown[])[1] === "ended";
  },
});

const TABLES: TablesManifest = {
  format: 1,
  set: "hot",
  serverVersionNum: 150_018,
  schema: "abc",
  tables: [{
    name: '"public"."a"',
    columns: [{ name: "id", type: "integer" }],
    rows: 2,
    hash: "-5",
  }],
  sequences: [{ name: "s", last: "5", called: true }],
};

const tablesTarget = stateless({
  name: "tables-format",
  files: [
    "replication/tables_format.ts",
    "replication/tables_apply.ts",
    "replication/receive_tables.ts",
  ],
  weight: 2,
  maxBytes: 5000,
  json: false,
  corpus(): Uint8Array[] {
    const rows = concat(
      ...encodePiece(bytesOf("1\tx\n2\t\\N\n")),
      ...encodePiece(new Uint8Array(0)),
    );
    const manifest = concat(...encodeTablesManifest(TABLES));
    return [concat(manifest, rows), manifest, concat(manifest, rows, rows)];
  },
  generate(random): Uint8Array {
    const count = random.below(4);
    const tables = Array.from({ length: count }, (_, i) => ({
      ...TABLES.tables[0]!,
      name: random.oneIn(9) ? "" : `t${i}`,
      rows: random.oneIn(9) ? -1 : random.below(99),
    }));
    const odd = random.oneIn(9) ? { ["__proto__"]: 1 } : {};
    const parts = [...encodeTablesManifest({ ...TABLES, ...odd, tables } as TablesManifest)];
    for (let table = 0; table < count; table++) {
      for (let piece = random.below(3); piece > 0; piece--) {
        parts.push(...encodePiece(random.bytes(random.below(50))));
      }
      if (!random.oneIn(9)) parts.push(...encodePiece(new Uint8Array(0)));
    }
    return concat(...parts);
  },
  async feed(bytes, random): Promise<boolean> {
    const found = await bothWays(bytes, random, async (source) => {
      const reader = new PieceReader(source);
      const pieces: string[] = [];
      const manifest = await orRefusedLater(() => reader.manifest(), TablesFormatError);
      if (manifest === null) return null;
      const rest = await orRefusedLater(async () => {
        for (let i = 0; i < manifest.value.tables.length; i++) {
          for (;;) {
            const piece = await reader.piece(100_000);
            if (piece === null) break;
            pieces.push(textOf(piece));
          }
        }
        await reader.end();
        return pieces;
      }, TablesFormatError);
      return { manifest: manifest.value, pieces: rest?.value ?? null };
    });
    if (found === null) return false;
    mustBePlain(found.manifest);
    const again = concat(...encodeTablesManifest(found.manifest));
    mustEqual(await new PieceReader(streamOf([again])).manifest(), found.manifest, "again");
    return found.pieces !== null;
  },
  async drip(bytes): Promise<void> {
    const reader = new PieceReader(dripOf(concat(...encodePiece(bytes))));
    await orRefusedLater(() => reader.piece(), TablesFormatError);
  },
});

/** All of them. */
export const STREAM_TARGETS: readonly Target[] = [
  lineTarget,
  jsonLinesTarget,
  setStreamTarget,
  frameTarget,
  pipeTarget,
  tablesTarget,
];
