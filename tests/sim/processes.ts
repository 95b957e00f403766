/**
 * Runs programs of the simulation side by side, each under a deadline.
 *
 * @module
 */

/** One run: its arguments behind `deno run -A`, and the directory that it runs in. */
export interface Job {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly deadlineMs: number;
}

/** Runs one, and hands over each line that it prints. @returns its exit code and what it complained of */
export async function run(
  { args, cwd, deadlineMs }: Job,
  onLine: (line: string) => void,
): Promise<{ readonly code: number; readonly stderr: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--frozen", ...args],
    cwd,
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(deadlineMs),
  }).spawn();
  const stderr = new Response(child.stderr).text();
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
  return { code: (await child.status).code, stderr: await stderr };
}

/** Works the queue off with `width` at a time. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const lane = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: width }, lane));
}
