/** Measuring beside a Python reference, in turns, in one run. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** Time that something took. */
export interface Spent {
  readonly seconds: number;
  /** Seconds of processor time, where it was measured: on a machine that others use too it says more. */
  readonly cpu?: number;
}

export interface Answer extends Spent {
  readonly bytes: number;
  readonly logits: number[];
  readonly values: number[];
}

/** The Python side: asks and waits. `script` lies in test/bench. */
export class Reference {
  private constructor(
    private readonly child: ChildProcessByStdio<Writable, Readable, null>,
    private readonly lines: AsyncIterator<string>,
    readonly loaded: Answer,
  ) {}

  static async start(python: string, script: string, args: readonly string[]): Promise<Reference> {
    const path = join(import.meta.dirname, "../../../test/bench", script);
    const child = spawn(python, [path, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return new Reference(child, lines, await nextAnswer(lines));
  }

  async ask(command: object): Promise<Answer> {
    this.child.stdin.write(`${JSON.stringify(command)}\n`);
    return nextAnswer(this.lines);
  }

  stop(): void {
    this.child.stdin.end();
  }
}

/** Python libraries print other lines too: the answers are those that start with a brace. */
async function nextAnswer(lines: AsyncIterator<string>): Promise<Answer> {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) throw new Error("The Python reference ended early; its error is above.");
    if (value.startsWith("{")) return JSON.parse(value) as Answer;
  }
}

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/**
 * Runs both in turns and prints the median time of each, their ratio, and what was asked for; with the count of operations
 * and the machine's limit also the ratio that this machine would allow, if all of ours ran at that limit.
 */
export async function compare(
  name: string,
  target: number,
  rounds: number,
  ours: () => Promise<Spent>,
  theirs?: () => Promise<Spent>,
  { flops, limit, warm = true }: { flops?: number; limit?: number; warm?: boolean } = {},
): Promise<void> {
  const own: Spent[] = [];
  const other: Spent[] = [];
  if (warm) {
    await ours();
    await theirs?.();
  }
  for (let i = 0; i < rounds; i++) {
    own.push(await ours());
    if (theirs) other.push(await theirs());
  }
  const middle = (all: readonly Spent[], of: keyof Spent): number =>
    median(all.map((spent) => spent[of] ?? Number.NaN));
  const mine = middle(own, "seconds");
  const rate = flops ? `  ${(flops / mine / 1e9).toFixed(0)} of ${(limit! / 1e9).toFixed(0)} GFLOP/s` : "";
  const theirTime = middle(other, "seconds");
  const most = flops && limit ? `, at the machine's limit ${((theirTime * limit) / flops).toFixed(2)}×` : "";
  const beside = other.length
    ? `  reference ${theirTime.toFixed(3)} s  ratio ${(theirTime / mine).toFixed(2)}× (aim ${target}×${most})`
    : "";
  const processor = middle(other, "cpu") / middle(own, "cpu");
  const cpu = other.length && processor > 0 ? `  of processor time ${processor.toFixed(2)}×` : "";
  console.log(`${name.padEnd(44)} ${mine.toFixed(3)} s${beside}${cpu}${rate}`);
}

export async function timed(work: () => Promise<unknown>): Promise<Spent & { readonly cpu: number }> {
  const start = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { seconds: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 };
}
