import assert from "node:assert/strict";
import { encodePiece, PieceReader, TablesFormatError } from "./tables_format.ts";

async function* chunks(...parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

Deno.test("PieceReader.end() takes pieces of no bytes for nothing, and anything else for too much", async () => {
  const nothing = new Uint8Array(0);
  const piece = [...encodePiece(Uint8Array.of(1, 2))];
  const reader = new PieceReader(chunks(nothing, ...piece, nothing, nothing));
  assert.deepEqual(await reader.piece(), Uint8Array.of(1, 2));
  await reader.end();
  for (const more of [[nothing, Uint8Array.of(9)], [Uint8Array.of(9)]]) {
    const longer = new PieceReader(chunks(...piece, ...more));
    await longer.piece();
    await assert.rejects(longer.end(), TablesFormatError);
  }
});
