/** `npm run bench:information -- --python PYTHON`: decompositions of samples beside numpy, in turns, in one run. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { asMatrix, samplePid } from "../../../lib/analysis/index.js";
import { joinColumns } from "../../../lib/analysis/linalg/matrix.js";
import { seeded } from "../../../lib/random.js";
import { copies, drawSamples, KNOWN } from "../../analysis/information/known-cases.js";
import { compare, Reference, timed } from "../beside.js";

interface Options {
  readonly python: string;
  readonly rounds: number;
  readonly repeats: number;
}

/** Speed to be reached, as a multiple of the reference's exact method. */
const AIM = 10;
/** gpid's steps stop within 1e-6 bits of the minimum, the exact method at it. */
const AGREEMENT = { gradient: 1e-6, signs: 2e-6 };
const ROWS = 1000;

async function main({ python, rounds, repeats }: Options): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "modalscope-bench-"));
  const reference = await Reference.start(python, "information/reference.py", []);
  try {
    for (const name of ["D1", "D2", "E0", "E90"]) {
      const { hx, hy } = KNOWN[name];
      const samples = drawSamples({ hx: copies(hx, 5), hy: copies(hy, 5) }, ROWS, seeded(1));
      const parts = [samples.target, samples.x, samples.y].map((rows) => asMatrix(rows));
      const dimensions = parts.map(({ shape }) => shape[1]);
      const path = join(folder, "rows.f64");
      writeFileSync(path, joinColumns(parts).data);
      const [target, x, y] = parts;
      for (const method of ["gradient", "signs"] as const) {
        let found: number[] = [];
        let expected: readonly number[] = [];
        await compare(
          `5 copies of ${name} (${dimensions.join("+")}), ${ROWS} rows, ${repeats}×; ${method}`,
          AIM,
          rounds,
          () =>
            timed(async () => {
              for (let k = 0; k < repeats; k++) {
                const { broja, information } = samplePid({ target, x, y }).plugIn;
                found = [information.joint, broja.uniqueX, broja.uniqueY, broja.redundancy, broja.synergy];
              }
            }),
          async () => {
            const answer = await reference.ask({ path, dimensions, repeats, method });
            expected = answer.values;
            return answer;
          },
        );
        agree(expected, found, AGREEMENT[method]);
      }
    }
  } finally {
    reference.stop();
    rmSync(folder, { recursive: true });
  }
}

function agree(expected: readonly number[], found: readonly number[], tolerance: number): void {
  const drift = Math.max(...expected.map((value, i) => Math.abs(value - found[i])));
  if (!(drift <= tolerance)) throw new Error(`The two compute different atoms: ${drift} bits apart.`);
}

await new Command("bench:information")
  .description("Times Gaussian decompositions of samples beside numpy.")
  .requiredOption("--python <path>", "a Python with numpy", process.env.MODALSCOPE_PYTHON)
  .option("--rounds <n>", "timed rounds of each", Number, 5)
  .option("--repeats <n>", "decompositions in a round", Number, 10)
  .action(main)
  .parseAsync();
