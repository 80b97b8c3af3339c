import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { seeded } from "../../../lib/random.js";
import { openCells } from "./cells.js";
import { within } from "./within.js";

const nativeLock = new URL("../../../lib/native-lock.js", import.meta.url).href;

/** Cells that never end by themselves, and count their turns. */
const loops: Record<string, string> = {
  computes: "for (;;) turns++;",
  "waits for timers": "for (;;) { await new Promise((r) => setTimeout(r, 1)); turns++ }",
  "waits for microtasks": "for (;;) { await null; turns++ }",
  prints: "for (;;) { turns++; console.log(turns) }",
  "prints and catches all": "for (;;) { try { for (;;) { turns++; console.log(turns) } } catch {} }",
  "calls native code":
    "for (;;) { lockNative(); try { const end = Date.now() + 3; while (Date.now() < end); turns++ } finally { unlockNative() } }",
  "waits for ever": "await new Promise(() => {});",
  "throws an error that does not end":
    "const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { for (;;); } }); throw e;",
  "shows a value that does not end": "({ [Symbol.for('Jupyter.display')]() { for (;;); } })",
};

/**
 * Interrupts endless cells in bursts of 1 to 8 at random moments, in their compilation or in their run. Each must end
 * interrupted, and the variables stay.
 */
export async function interruptInBursts(
  folder: string,
  { rounds, seed }: { rounds: number; seed: number },
): Promise<void> {
  const cells = openCells(folder);
  const random = seeded(seed);
  try {
    await cells.value(`let turns = 0, kept = 42;
      const { lockNative, unlockNative } = await import(${JSON.stringify(nativeLock)} as string);`);
    for (let round = 0; round < rounds; round++) {
      const name = random.pick(Object.keys(loops));
      const where = `round ${round} of seed ${seed}: a cell that ${name}`;
      let begin = (): void => {};
      const begun = new Promise<void>((resolve) => {
        begin = resolve;
      });
      const running = cells.run(`console.log("begun");\n${loops[name]}`, () => begin());
      if (random.uniform() < 0.75) await within(begun, `the begin of ${where}`);
      for (let left = 1 + random.int(8); left > 0; left--) {
        await delay(random.uniform() * (random.uniform() < 0.5 ? 2 : 60));
        cells.session.interrupt();
      }
      const { outcome } = await running.catch((error: Error) => {
        throw new Error(`${where}: ${error.message}`);
      });
      assert.equal(outcome.cause, "interrupt", `${where}: ${JSON.stringify(outcome)}`);
      if (round % 10 === 9) assert.equal(await cells.value("kept"), "42", where);
    }
    assert.equal(await cells.value("[kept, turns > 0]"), "[ 42, true ]");
  } finally {
    await cells.session.close();
  }
}
