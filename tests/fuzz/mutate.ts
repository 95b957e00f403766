/**
 * Makes bad inputs out of good ones: bytes are flipped, cut, doubled, spliced, and replaced by words of the
 * format; numbers become huge, brackets deep, text no text.
 *
 * @module
 */

import { bytesOf, concat } from "./bytes.ts";
import type { Random } from "./random.ts";

/** What mutation works with. */
export interface MutationOptions {
  readonly corpus: readonly Uint8Array[];
  readonly dictionary: readonly Uint8Array[];
  /** Longest result. */
  readonly maxBytes: number;
}

/** Numbers at which arithmetic goes wrong. */
const INTERESTING = [0, 1, 3, 4, 5, 7, 8, 15, 16, 27, 28, 64, 127, 128, 255, 256, 1023, 4096, 32767]
  .concat([32768, 65535, 65536, 1_048_576, 1_048_577, 16_777_217, 2147483647, 4294967295]);
const NUMBERS = ["0", "-0", "-1", "1e400", "-1e400", "1e-400", "00", "01", "0x10", "1.5", "NaN"]
  .concat(["9007199254740991", "9007199254740992", "18446744073709551616", "2147483648", "65536"])
  .concat(["4294967296", "99999999999999999999999999", "Infinity", "1_000", "٣", "null", "true"])
  .map(bytesOf);
/** What is no UTF-8, and what is UTF-8 and surprises. */
const TEXTS = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]
  .map((bytes) => Uint8Array.from(bytes))
  .concat(
    ["\0", "\ufeff", "\u202e", "\u2028", "\u{1f4a9}", "e\u0301", "ß", "İ", "\r", "\n", "\r\n", "\t"]
      .concat(["__proto__", "constructor", "toString", "../", "/../", "%s%n", "\\", "'", '"', "$("])
      .concat(["\x7f", "\x1b[2J", " ", ";", "`", "\\u0000", "\\ud800", "::", "0.0.0.0", "%00"])
      .map(bytesOf),
  );
const PAIRS = [["[", "]"], ["{", "}"], ['{"a":', "}"], ['[{"a":', "}]"], ["(", ")"], ['"', '"']]
  .map((pair) => pair.map(bytesOf));

/** One input: mostly a mutated one of the corpus, sometimes nothing but noise. */
export function mutate(random: Random, options: MutationOptions): Uint8Array<ArrayBuffer> {
  const { corpus, maxBytes } = options;
  if (random.oneIn(50)) return random.bytes(random.below(random.pick([4, 64, 300])));
  let bytes = new Uint8Array(random.pick(corpus));
  const times = random.pick([1, 1, 1, 2, 2, 3, 5, 12]);
  for (let i = 0; i < times; i++) bytes = random.pick(MUTATORS)(bytes, random, options);
  return bytes.length > maxBytes ? bytes.slice(0, maxBytes) : bytes;
}

type Mutator = (
  bytes: Uint8Array<ArrayBuffer>,
  random: Random,
  options: MutationOptions,
) => Uint8Array<ArrayBuffer>;

function flipBit(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const at = random.below(bytes.length);
  if (bytes.length > 0) bytes[at]! ^= 1 << random.below(8);
  return bytes;
}

function setByte(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  if (bytes.length > 0) bytes[random.below(bytes.length)] = random.next();
  return bytes;
}

function insertNoise(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  return put(bytes, random.below(bytes.length + 1), 0, random.bytes(1 + random.below(8)));
}

function remove(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const length = 1 + random.below(random.pick([1, 4, 32, bytes.length]));
  return put(bytes, random.below(bytes.length), length, new Uint8Array(0));
}

function repeat(
  bytes: Uint8Array<ArrayBuffer>,
  random: Random,
  { maxBytes }: MutationOptions,
): Uint8Array<ArrayBuffer> {
  const from = random.below(bytes.length);
  const part = bytes.slice(from, from + 1 + random.below(random.pick([1, 8, 64, bytes.length])));
  const most = Math.max(1, Math.floor(maxBytes / Math.max(1, part.length)));
  const times = Math.min(most, 1 + random.below(random.pick([2, 10, 300])));
  return put(bytes, from, 0, concat(...Array.from({ length: times }, () => part)));
}

function truncate(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  return random.oneIn(4)
    ? bytes.slice(random.below(bytes.length))
    : bytes.slice(0, random.below(bytes.length));
}

function splice(
  bytes: Uint8Array<ArrayBuffer>,
  random: Random,
  { corpus }: MutationOptions,
): Uint8Array<ArrayBuffer> {
  const other = random.pick(corpus);
  return concat(
    bytes.subarray(0, random.below(bytes.length + 1)),
    other.subarray(random.below(other.length + 1)),
  );
}

function word(
  bytes: Uint8Array<ArrayBuffer>,
  random: Random,
  { dictionary }: MutationOptions,
): Uint8Array<ArrayBuffer> {
  const words = dictionary.length === 0 || random.oneIn(3) ? TEXTS : dictionary;
  const cut = random.oneIn(2) ? random.below(8) : 0;
  return put(bytes, random.below(bytes.length + 1), cut, random.pick(words));
}

/** A binary field of 1, 2, 4 or 8 bytes: an interesting number, or about how much follows. */
function field(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const width = random.pick([1, 2, 2, 4, 4, 8]);
  if (bytes.length < width) return bytes;
  const at = random.below(bytes.length - width + 1);
  const value = random.oneIn(3)
    ? bytes.length - at - width + random.below(3) - 1
    : random.pick(INTERESTING);
  const view = new DataView(bytes.buffer);
  const little = random.oneIn(3);
  if (width === 1) view.setUint8(at, value);
  else if (width === 2) view.setUint16(at, value, little);
  else if (width === 4) view.setUint32(at, value, little);
  else view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), little);
  return bytes;
}

/** A run of digits becomes another number. */
function number(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const start = random.below(bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    const at = (start + i) % bytes.length;
    if (!isDigit(bytes[at])) continue;
    let end = at;
    while (isDigit(bytes[end])) end++;
    return put(bytes, at, end - at, random.pick(NUMBERS));
  }
  return put(bytes, start, 0, random.pick(NUMBERS));
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 48 && byte <= 57;
}

function nest(
  bytes: Uint8Array<ArrayBuffer>,
  random: Random,
  { maxBytes }: MutationOptions,
): Uint8Array<ArrayBuffer> {
  const [open, close] = random.pick(PAIRS);
  const most = Math.floor(maxBytes / (open!.length + close!.length));
  const depth = Math.min(most, random.pick([1, 2, 20, 200, 5000]));
  const at = random.below(bytes.length + 1);
  const cut = random.below(bytes.length - at);
  const all = (part: Uint8Array): Uint8Array[] => Array.from({ length: depth }, () => part);
  return concat(
    bytes.subarray(0, at),
    ...all(open!),
    bytes.subarray(at, at + cut),
    ...(random.oneIn(5) ? [] : all(close!)),
    bytes.subarray(at + cut),
  );
}

function swap(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const [a, b] = [random.below(bytes.length), random.below(bytes.length)];
  const length = 1 + random.below(16);
  const [x, y] = [bytes.slice(a, a + length), bytes.slice(b, b + length)];
  bytes.set(y.subarray(0, bytes.length - a), a);
  bytes.set(x.subarray(0, bytes.length - b), b);
  return bytes;
}

function changeCase(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const at = random.below(bytes.length);
  for (let i = at; i < Math.min(bytes.length, at + 12); i++) {
    const letter = bytes[i]! | 0x20;
    if (letter >= 97 && letter <= 122) bytes[i]! ^= 0x20;
  }
  return bytes;
}

/** `bytes` with `length` bytes at `at` replaced. */
function put(
  bytes: Uint8Array,
  at: number,
  length: number,
  what: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return concat(bytes.subarray(0, at), what, bytes.subarray(at + length));
}

const MUTATORS: readonly Mutator[] = [
  flipBit,
  flipBit,
  setByte,
  insertNoise,
  remove,
  repeat,
  truncate,
  splice,
  word,
  word,
  field,
  number,
  number,
  nest,
  swap,
  changeCase,
];
