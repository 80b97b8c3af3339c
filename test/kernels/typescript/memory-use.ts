import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { startKernel } from "./malformed-messages.js";
import { within } from "./within.js";

interface ProcessStatus {
  pid: number;
  parent: number;
  command: string;
  megabytes: number;
}

function statusOf(pid: number): ProcessStatus {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
  return { pid, parent: field("PPid"), command, megabytes: field("VmRSS") / 1024 };
}

/** Resident memory of the supervisor, and of its compiler's process. */
function memoryOf(supervisor: number): { supervisor: number; compiler: number } {
  const others = readdirSync("/proc").flatMap((name) => {
    try {
      return /^\d+$/.test(name) ? [statusOf(Number(name))] : [];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
  const compiler = others.find(
    ({ parent, command }) => parent === supervisor && command.includes("compiler/worker.js"),
  );
  assert.ok(compiler !== undefined, "no compiler's process");
  return { supervisor: statusOf(supervisor).megabytes, compiler: compiler.megabytes };
}

const lookMs = 2000;
const looks = 60;
/** Looks in a row at which it must be the same. */
const quietLooks = 3;
const sameMegabytes = 2;

/** Memory once it no longer changes: the compiler collects its garbage when it has been idle for a while. */
async function settled(pid: number): Promise<ReturnType<typeof memoryOf>> {
  let before = memoryOf(pid);
  for (let [look, quiet] = [0, 0]; look < looks; look++) {
    await delay(lookMs);
    const now = memoryOf(pid);
    quiet = Math.abs(now.compiler - before.compiler) <= sameMegabytes ? quiet + 1 : 0;
    before = now;
    if (quiet === quietLooks) return now;
  }
  throw new Error(`The compiler's memory still changes after ${(looks * lookMs) / 1000} s.`);
}

/** Runs many small cells and compares memory with that at the start. */
export async function growthOver(
  folder: string,
  cells: number,
): Promise<{ supervisor: number; compiler: number }> {
  const kernel = await startKernel(folder);
  try {
    const pid = kernel.process.pid as number;
    await within(
      kernel.execute("1 + 1", () => {}),
      "the first cell",
    );
    // The compiler warms up meanwhile, for as long as this machine takes.
    const begin = await settled(pid);
    for (let i = 1; i <= cells; i++) {
      const code =
        i % 3 === 0
          ? `console.log(${i})`
          : `const a${i} = ${i}; function f${i}(x: number) { return x + a${i} }\nf${i}(3)`;
      const { error } = await within(
        kernel.execute(code, () => {}),
        `cell ${i}`,
      );
      assert.equal(error, undefined);
    }
    const end = await settled(pid);
    return { supervisor: end.supervisor - begin.supervisor, compiler: end.compiler - begin.compiler };
  } finally {
    await kernel.close();
  }
}
