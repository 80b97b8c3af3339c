import type { Compiler } from "./compiler.js";

/** A little of all that cells are made of. */
const sample = `import { join } from "node:path";
interface Named { name: string; size?: number }
const list: Named[] = [1, 2].map((n) => ({ name: \`\${n}\`, size: n * 2 }));
class Counter { #n = 0; up(): number { return ++this.#n } }
async function total(items: Named[]): Promise<number> { return items.reduce((sum, x) => sum + (x.size ?? 0), 0) }
for (const { name } of list) console.log(name, join("a", name), new Counter().up());
const { size } = list[0];
await total(list);`;

/** Packages that most notebooks import from: read when nobody waits. */
export const preparedImports = `import * as modalscope from "modalscope";
import * as analysis from "modalscope/analysis";
import * as methods from "modalscope/methods";
import * as plot from "modalscope/plot";
import * as studies from "modalscope/studies";
import * as tasks from "modalscope/tasks";
export const used = [modalscope, analysis, methods, plot, studies, tasks];`;

/** Enough for V8 to have optimised what compiling a small cell takes: the tenth takes a third of the first one's time. */
const rounds = 12;

/**
 * Work for an idle compiler, so that the first cells compile as fast as later ones. The first one reads the
 * libraries' declarations, the last two this package's own, which most notebooks import.
 */
export function warmUps(compiler: Compiler): (() => void)[] {
  return [
    () => compiler.rehearse(""),
    ...Array.from({ length: rounds }, (_, round) => () => compiler.rehearse(round % 2 ? sample : "1 + 1")),
    () => compiler.complete("Math.", 5),
    () => compiler.rehearse('import * as modalscope from "modalscope";\nmodalscope.seeded(1);'),
    () => compiler.rehearse('import * as analysis from "modalscope/analysis";\nanalysis.wilson(1, 2);'),
  ];
}
