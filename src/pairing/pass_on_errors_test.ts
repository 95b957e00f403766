import assert from "node:assert/strict";
import { passOnErrors } from "./pass_on_errors.ts";

async function passed(
  parts: readonly string[],
  onPrompt: () => Promise<void> = () => Promise.resolve(),
): Promise<{ readonly said: string; readonly prompts: number }> {
  let said = "";
  let prompts = 0;
  await passOnErrors(ReadableStream.from(parts.map((part) => new TextEncoder().encode(part))), {
    prompt: "relais:password:",
    onPrompt: () => {
      prompts++;
      return onPrompt();
    },
    write: (text) => {
      said += text;
      return Promise.resolve();
    },
  });
  return { said, prompts };
}

Deno.test("passOnErrors() shows everything but the prompt, however it is cut into pieces", async () => {
  const parts = ["Sorry", ", try again.\nrelais:pass", "word:", "relais:password:", "no\nrelais:"];
  assert.deepEqual(await passed(parts), { said: "Sorry, try again.\nno\nrelais:", prompts: 2 });
  assert.deepEqual(await passed([]), { said: "", prompts: 0 });
});

Deno.test("passOnErrors() says why there was no password, once all is read", async () => {
  const fails = (): Promise<void> => Promise.reject(new Error("nobody to ask"));
  await assert.rejects(
    passed(["relais:password:relais:password:x\n", "y"], fails),
    /nobody to ask/,
  );
});
