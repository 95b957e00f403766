import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  contentLength,
  HEAD_MAX_BYTES,
  HeadFinder,
  HttpGarbageError,
  parseHead,
} from "./http_head.ts";

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

Deno.test("parseHead() takes a head apart as soon as it is whole, whatever follows", () => {
  const text = "POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length:5 \r\nX-A: \r\n\r\n";
  for (let length = 0; length < text.length; length++) {
    assert.equal(parseHead(bytes(text.slice(0, length))), null);
  }
  for (const rest of ["", "hello", "\r\n\r\n"]) {
    const head = parseHead(bytes(text + rest));
    assert.ok(head);
    assert.equal(head.firstLine, "POST /a?b HTTP/1.1");
    assert.deepEqual([...head.headers], [["host", "x"], ["content-length", "5"], ["x-a", ""]]);
    assert.equal(head.length, text.length);
    assert.equal(contentLength(head), 5);
  }
});

Deno.test("parseHead() and contentLength() refuse what two readers could read differently", () => {
  const heads = [
    "GET / HTTP/1.1\r\nHost : x",
    "GET / HTTP/1.1\r\n folded: x",
    "GET / HTTP/1.1\r\nno colon",
    "GET / HTTP/1.1\r\na: b\x00",
    "GET / HTTP/1.1\r\na: b\nc: d",
    "\x16\x03",
    "",
    "GET / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 2",
  ];
  for (const head of heads) {
    assert.throws(() => parseHead(bytes(`${head}\r\n\r\n`)), HttpGarbageError, head);
  }
  for (
    const header of ["Content-Length: +1", "Content-Length: 0x1", "Transfer-Encoding: chunked"]
  ) {
    const head = parseHead(bytes(`GET / HTTP/1.1\r\n${header}\r\n\r\n`));
    assert.ok(head);
    assert.throws(() => contentLength(head), HttpGarbageError, header);
  }
});

Deno.test("parseHead() reads at most HEAD_MAX_BYTES", () => {
  assert.throws(() => parseHead(bytes("a".repeat(HEAD_MAX_BYTES + 1))), HttpGarbageError);
  assert.equal(parseHead(bytes("a".repeat(HEAD_MAX_BYTES))), null);
});

Deno.test("parseHead() throws nothing but HttpGarbageError on any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (random, ended) => {
      const all = ended ? Uint8Array.of(...random, 13, 10, 13, 10) : random;
      try {
        const head = parseHead(all);
        if (head !== null) contentLength(head);
      } catch (error) {
        assert.ok(error instanceof HttpGarbageError);
      }
    }),
  );
});

/** Counts the bytes that are searched. */
class Watched extends Uint8Array {
  static searched = 0;

  override indexOf(byte: number, from = 0): number {
    const at = super.indexOf(byte, from);
    Watched.searched += (at === -1 ? this.length : at + 1) - from;
    return at;
  }
}

Deno.test("HeadFinder looks at each byte once, in however small pieces they arrive", () => {
  const head = `GET / HTTP/1.1\r\n${"A: b\r\n".repeat(1000)}X: y\r\n\r\n`;
  for (const text of [head, "\r".repeat(7000), `${head}${"body".repeat(1000)}`]) {
    const all = new Watched(bytes(text));
    const finder = new HeadFinder();
    Watched.searched = 0;
    let found = null;
    for (let have = 1; have <= all.length; have++) found = finder.find(all.subarray(0, have));
    assert.ok(Watched.searched <= 5 * all.length, `${Watched.searched} of ${all.length}`);
    assert.deepEqual(found, parseHead(bytes(text)));
  }
});

Deno.test("HeadFinder finds an end that is cut anywhere", () => {
  const text = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
  for (let cut = 1; cut < text.length; cut++) {
    const finder = new HeadFinder();
    assert.equal(finder.find(bytes(text.slice(0, cut))), null);
    assert.equal(finder.find(bytes(`${text}body`))?.length, text.length);
  }
});
