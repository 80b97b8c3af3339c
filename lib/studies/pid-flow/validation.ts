/** Known sources through the whole pipeline: what is true, and what each estimator says. */
import {
  asMatrix,
  discretePid,
  gaussianise,
  jointNormality,
  type Matrix,
  type MatrixLike,
  type PidAtoms,
  type PidSamples,
  samplePid,
} from "../../analysis/index.js";
import { type Random, seeded } from "../../random.js";
import { type PlantedSourcesKind, plantedSources } from "../../tasks/index.js";
import { withCheckpoint } from "../random-twin.js";
import { measureTasks } from "./measure.js";
import { samplesAt } from "./measurements.js";

/** One row of the table: atoms in the order R, vision-unique, language-unique, S, in bits. */
export type Validation = {
  readonly source: string;
  readonly truth: string;
  readonly "~G": string;
  readonly MMI: string;
  /** ~G after Gaussianisation. */
  readonly "~G, Gaussianised": string;
  readonly "joint test": string;
};

const text = ({ redundancy, uniqueX, uniqueY, synergy }: PidAtoms): string =>
  [redundancy, uniqueX, uniqueY, synergy]
    .map((bits) => bits.toFixed(2).replace(/^0/, ""))
    .join("\u00a0\u00a0");

const atoms = (redundancy: number, uniqueX: number, uniqueY: number, synergy: number): PidAtoms => ({
  redundancy,
  uniqueX,
  uniqueY,
  synergy,
});

/** E0: two dimensions, each seen better by one of the sources. */
const E0 = { x: [Math.SQRT2, 1], y: [1, Math.SQRT2], truth: atoms(1, 0.292481, 0.292481, 0.415037) };
const ANGLE = 0.6;

const rows = (n: number, d: number, value: () => number): number[][] =>
  Array.from({ length: n }, () => Array.from({ length: d }, value));

const mapped = (x: readonly (readonly number[])[], f: (row: readonly number[]) => number[]): number[][] =>
  x.map(f);

function gaussianE0(n: number, random: Random): Record<"target" | "x" | "y", number[][]> {
  const target = rows(n, 2, () => random.normal());
  const seen = (gains: readonly number[]): number[][] =>
    mapped(target, (m) => m.map((value, i) => gains[i] * value + random.normal()));
  return { target, x: seen(E0.x), y: seen(E0.y) };
}

/** Each value cubed, then turned: an invertible map, which changes no atom. */
const cubedAndTurned = (x: readonly (readonly number[])[]): number[][] =>
  mapped(x, (row) => {
    const [a, b] = row.map((value) => value ** 3);
    return [Math.cos(ANGLE) * a - Math.sin(ANGLE) * b, Math.sin(ANGLE) * a + Math.cos(ANGLE) * b];
  });

const NOISE = 0.5;

function exclusiveOr(n: number, random: Random): Record<"target" | "x" | "y", number[][]> {
  const signs = (): number[][] => rows(n, 1, () => 2 * random.int(2) - 1);
  const [a, b] = [signs(), signs()];
  const noisy = (x: readonly (readonly number[])[]): number[][] =>
    mapped(x, ([value]) => [value + NOISE * random.normal()]);
  return { target: noisy(a.map(([s], i) => [s * b[i][0]])), x: noisy(a), y: noisy(b) };
}

function rowOf(source: string, truth: PidAtoms, samples: PidSamples): Validation {
  const found = samplePid(samples);
  const turned = gaussianise(samples).samples;
  const { accepted, henzeZirkler, crossMoments } = jointNormality(turned);
  const p = Math.min(henzeZirkler.p, crossMoments.p);
  return {
    source,
    truth: text(truth),
    "~G": text(found.broja),
    MMI: text(found.mmi),
    "~G, Gaussianised": text(samplePid(turned).broja),
    "joint test": `${accepted ? "passes" : "refuses"}, p ${p < 0.001 ? "< .001" : `= ${p.toFixed(3)}`}`,
  };
}

/** Known sources of `n` rows: Gaussian, cubed and turned, an exclusive-or. */
export function validateEstimators(n: number, seed = 0): Validation[] {
  const random = seeded(seed);
  const plain = gaussianE0(n, random);
  const bent = gaussianE0(n, random);
  const crossed = exclusiveOr(n, random);
  return [
    rowOf("Gaussian (E0)", E0.truth, plain),
    rowOf("E0, cubed and turned", E0.truth, {
      target: cubedAndTurned(bent.target),
      x: cubedAndTurned(bent.x),
      y: cubedAndTurned(bent.y),
    }),
    {
      ...rowOf("exclusive or of signs", atoms(0, 0, 0, 0.759), crossed),
      source: `exclusive or of signs; discrete: ${text(signsOf(crossed))}`,
    },
  ];
}

/** Discrete decomposition of the signs of three single columns. */
function signsOf({ target, x, y }: Record<"target" | "x" | "y", MatrixLike>): PidAtoms {
  const [m, a, b] = [target, x, y].map((part): Matrix => asMatrix(part));
  const table = new Float64Array(8);
  for (let i = 0; i < m.shape[0]; i++)
    table[4 * Number(m.data[i] > 0) + 2 * Number(a.data[i] > 0) + Number(b.data[i] > 0)]++;
  return discretePid({ data: table, shape: [2, 2, 2] }).atoms;
}

/** Planted two-source checkpoints, run with `n` questions each and decomposed at the first or the last state. */
export async function validateCheckpoints(
  kinds: readonly PlantedSourcesKind[],
  n: number,
  seed = 0,
): Promise<Validation[]> {
  const out: Validation[] = [];
  for (const kind of kinds) {
    const made = plantedSources(kind);
    await withCheckpoint(made, async (model) => {
      const questions = new Map([[kind, made.draw(n, seed)]]);
      const components = kind === "exclusiveOr" ? 1 : 2;
      const { tasks } = await measureTasks(model, questions, {
        components,
        stateStep: model.layers.length,
        batchSize: 50,
        knockouts: false,
      });
      out.push(rowOf(`planted checkpoint, ${kind}`, made.atoms[0], samplesAt(tasks[0].clean, 0)));
    });
  }
  return out;
}
