/** What the estimators find in the planted two-source checkpoints, beside what was planted. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  discretePid,
  gaussianInformation,
  jointNormality,
  type Matrix,
  mmiAtoms,
  type PidAtoms,
  type PidSamples,
  principalComponents,
  samplePid,
} from "../../../lib/analysis/index.js";
import { type Batch, type Edits, loadModel, type Model, saveCheckpoint } from "../../../lib/model/index.js";
import {
  blockAsMany,
  blockRoute,
  type PooledStates,
  pooledStates,
} from "../../../lib/model/methods/index.js";
import {
  asMessage,
  PLANTED_SOURCES_KINDS,
  type PlantedSources,
  type PlantedSourcesKind,
  type PlantedStatement,
  plantedSources,
  type VisualTask,
  withImageOf,
} from "../../../lib/tasks/index.js";
import { isSlow } from "../../rounds.js";

const N = 250;
/** An atom in two dimensions has a standard deviation of .05–.1 bits at 250 rows. */
const TOLERANCE = 0.25;

const root = mkdtempSync(join(tmpdir(), "modalscope sources "));
after(() => rmSync(root, { recursive: true, force: true }));

interface Trial {
  readonly made: PlantedSources;
  readonly model: Model;
  readonly tasks: readonly VisualTask<PlantedStatement>[];
}

async function withTrial(kind: PlantedSourcesKind, use: (trial: Trial) => Promise<void>): Promise<void> {
  const made = plantedSources(kind);
  const folder = join(root, kind);
  saveCheckpoint(folder, made.config, made.weights, made.files);
  const model = await loadModel(folder, { threads: 1 });
  await use({ made, model, tasks: made.draw(N, 1) });
  await model.close();
}

function statesOf(
  { model }: Trial,
  tasks: readonly VisualTask[],
  edits?: (batch: Batch) => Edits,
): Promise<PooledStates> {
  return pooledStates(
    model,
    tasks.map((task) => [asMessage(task)]),
    { groups: { vision: (b) => b.visual, language: (b) => b.question }, batchSize: 50, edits },
  );
}

const matrixOf = (data: Float32Array, rows: number): Matrix => ({
  data: Float64Array.from(data),
  shape: [rows, data.length / rows],
});

/** State `l` of a group, reduced to what varies. */
function reduced({ states }: PooledStates, group: string, l: number, k: number): Matrix {
  const { data, shape } = states[group];
  const size = shape[1] * shape[2];
  return principalComponents(matrixOf(data.subarray(l * size, (l + 1) * size), shape[1]), k).scores;
}

const predictionOf = ({ logits }: PooledStates, k: number): Matrix =>
  principalComponents(matrixOf(logits.data, logits.shape[0]), k).scores;

/** Dimensions that a kind's variables have: the exclusive-or's prediction one, what words have read two more. */
function samplesOf(kind: PlantedSourcesKind, found: PooledStates, l: number, from = found): PidSamples {
  const one = kind === "exclusiveOr" ? 1 : 2;
  const language = kind === "transduced" && l > 2 ? 4 : one;
  return {
    target: predictionOf(from, one),
    x: reduced(found, "vision", l, one),
    y: reduced(found, "language", l, language),
  };
}

function assertAtoms(found: PidAtoms, wanted: PidAtoms, what: string): void {
  for (const name of ["redundancy", "uniqueX", "uniqueY", "synergy"] as const)
    assert.ok(
      Math.abs(found[name] - wanted[name]) <= TOLERANCE,
      `${what}: ${name} is ${found[name].toFixed(3)} and was planted as ${wanted[name].toFixed(3)}`,
    );
}

function right({ logits }: PooledStates, { model, tasks }: Trial): number {
  const [n, width] = logits.shape;
  return (
    tasks.filter(({ answers }, i) => {
      const row = logits.data.subarray(i * width, (i + 1) * width);
      return model.decode([row.indexOf(Math.max(...row))]).trim() === answers[0];
    }).length / n
  );
}

describe("planted two-source checkpoints", () => {
  for (const kind of isSlow ? PLANTED_SOURCES_KINDS : (["both"] as const))
    it(`${kind}: the atoms come out at each state, and the image's are gone with another one's prediction`, async () => {
      await withTrial(kind, async (trial) => {
        const found = await statesOf(trial, trial.tasks);
        assert.ok(right(found, trial) > 0.95);
        const said = matrixOf(
          Float32Array.from(trial.tasks.flatMap(({ annotation }) => annotation.prediction)),
          N,
        );
        const own = kind === "exclusiveOr" ? principalComponents(said, 1).scores : said;
        // The prediction is the planted one but for the norms' own bend, at a signal-to-noise ratio of 2⁸ or so.
        assert.ok(gaussianInformation(samplesOf(kind, found, 0).target, own) > 5);
        for (const l of [0, 2, 3, 8]) {
          const { broja } = samplePid(samplesOf(kind, found, l));
          if (kind !== "exclusiveOr") assertAtoms(broja, trial.made.atoms[l], `${kind} at state ${l}`);
        }
        if (kind !== "vision" && kind !== "both") return;
        const others = trial.tasks.map((task, i) => withImageOf(task, trial.tasks[(i + 1) % N]));
        const wrong = samplePid(samplesOf(kind, found, 0, await statesOf(trial, others)));
        assert.ok(wrong.information.x < 0.06, `${kind}: I(M;X) ${wrong.information.x} with other images`);
      });
    });

  it("exclusiveOr: no Gaussian sees it, the joint test refuses, and the signs alone give most of it", async () => {
    await withTrial("exclusiveOr", async (trial) => {
      const samples = samplesOf("exclusiveOr", await statesOf(trial, trial.tasks), 8);
      assert.ok(samplePid(samples).information.joint < 0.03);
      const test = jointNormality(samples);
      assert.ok(!test.accepted && test.henzeZirkler.p < 1e-4 && test.crossMoments.p < 0.01);
      const table = new Float64Array(8);
      const [m, x, y] = [samples.target, samples.x, samples.y].map((part) => part as Matrix);
      for (let i = 0; i < N; i++)
        table[4 * Number(m.data[i] > 0) + 2 * Number(x.data[i] > 0) + Number(y.data[i] > 0)]++;
      const { atoms } = discretePid({ data: table, shape: [2, 2, 2] });
      // Three signs, each wrong with probability Φ(−2): 1 − H₂(.0654) = .652 bits.
      assert.ok(Math.abs(atoms.synergy - 0.652) < 0.12, `${atoms.synergy}`);
      assert.ok(Math.max(atoms.redundancy, atoms.uniqueX, atoms.uniqueY) < 0.03);
    });
  });

  it("transduced: without attention from question to image what only the image gave stays its own", async () => {
    await withTrial("transduced", async (trial) => {
      const layers = trial.model.layers;
      const cut = await statesOf(trial, trial.tasks, (b) => blockRoute(b, "Image→Question", layers));
      const control = await statesOf(trial, trial.tasks, (b) => blockAsMany(b, "Image→Question", layers));
      assert.deepEqual(
        [right(cut, trial), right(control, trial)].map((share) => share > 0.95),
        [true, true],
      );
      const last = samplesOf("vision", cut, 8);
      assertAtoms(samplePid(last).broja, trial.made.atoms[0], "without the route");
      assertAtoms(
        samplePid(samplesOf("transduced", control, 8)).broja,
        trial.made.atoms[8],
        "with the control",
      );
    });
  });

  it("separate the methods: MMI sees no unique information beside redundancy where both are planted", async () => {
    const { atoms } = plantedSources("both");
    const both = { x: 0.5, y: 0.5, joint: 1 };
    assert.deepEqual(mmiAtoms(both), { redundancy: 0.5, uniqueX: 0, uniqueY: 0, synergy: 0.5 });
    assert.deepEqual([atoms[0].uniqueX, atoms[0].uniqueY], [0.5, 0.5]);
  });

  it("draw the same questions from the same seed, and refuse unknown kinds", () => {
    const { draw } = plantedSources("vision");
    const prompts = (seed: number): string[] => draw(5, seed).map(({ prompt }) => prompt);
    assert.deepEqual(prompts(3), prompts(3));
    assert.notDeepEqual(prompts(3), prompts(4));
    assert.throws(() => plantedSources("constructor" as PlantedSourcesKind), /There are vision, language/);
  });
});
