/** Trains one set of transcoders: saves, resume, the files, quality of what is saved on fresh tokens. */
import { join } from "node:path";
import {
  initialTranscoderWeights,
  type LayerQuality,
  readTranscoders,
  TranscoderTrainer,
  transcoderQuality,
  transcodersFrom,
  varianceOf,
  writeTranscoders,
} from "../../../lib/circuits/index.js";
import { ModalscopeError } from "../../../lib/errors.js";
import { loadModel } from "../../../lib/model/load.js";
import { createAdamState, train } from "../../../lib/model/training/index.js";
import { progressBar } from "../../../lib/plot/index.js";
import { writeWhole } from "../../../lib/write-file.js";
import { rateAt, saveOrReport } from "../common/driver.js";
import { asJson } from "../common/folder.js";
import type { Recipe } from "../common/recipe.js";
import { loadState, type StageCurve, saveState, type TrainingState } from "../common/state.js";
import { activationsOf, captureTokens, type TokenSource } from "./activations.js";
import type { TranscoderRecipe } from "./sets.js";

export interface TranscoderOptions {
  /** The checkpoint: a folder, or the name of an embedded one. */
  readonly model: string;
  /** Folder of the set when all is done. */
  readonly out: string;
  /** Folder from which an interrupted training goes on. */
  readonly work: string;
  readonly seed: number;
  readonly easyVqa: string;
  readonly threads: number;
  /** Share of the recipe's steps to take. */
  readonly scale: number;
  /** Seconds between two saves. */
  readonly every: number;
  readonly signal?: AbortSignal;
}

const HOOKS = { hookIn: "mlp.hook_in", hookOut: "mlp.hook_out" } as const;
/** Steps' worth of tokens on which a set is measured; drawn as those of training are, from another seed. */
const MEASURED_STEPS = 8;
const SMOOTHED = 20;

/**
 * @param recipe what the checkpoint was trained from: its last stage of the whole model says what is shown
 * @throws ModalscopeError when what is saved is of another set, or a file cannot be written at the end
 */
export async function trainTranscoders(
  recipe: Recipe,
  set: TranscoderRecipe,
  options: TranscoderOptions,
): Promise<readonly LayerQuality[]> {
  const model = await loadModel(options.model, { threads: options.threads });
  const { num_hidden_layers: layers, hidden_size: width } = model.config;
  const { kind, expansion, k, rate, stepTokens } = set;
  const spec = { kind, layers, width, features: expansion * width, k };
  const steps = Math.max(1, Math.round(set.steps * options.scale));
  const stage = recipe.stages(options).find(({ part }) => part === "whole");
  if (!stage) throw new ModalscopeError(`${recipe.name} has no stage that trains the whole model.`);
  const from: TokenSource = {
    ...{ model, images: set.images, seed: options.seed, stepTokens, ...HOOKS },
    sources: (random) => stage.sources(random, 1),
  };
  const plan = {
    ...{ set: set.name, checkpoint: model.hash, seed: options.seed, steps, rate, stepTokens },
    spec,
  };
  const next = activationsOf(from);
  const sample = await next(0);
  const variance = sample.outputs.map(varianceOf);
  const state = loadState(options.work, plan) ?? {
    stage: 0,
    curves: { seed: options.seed, parameters: 0, stages: [] },
    weights: initialTranscoderWeights(spec, sample, options.seed),
    optimizer: createAdamState(),
  };
  const trainer = new TranscoderTrainer(spec, { threads: options.threads });
  const { weights, optimizer } = state;
  const bar = progressBar(`${recipe.name} ${set.name}`);
  const record = recorder(state, { name: set.name, steps, rate, rows: stepTokens });
  let saved = performance.now();
  await train(trainer, weights, async (step) => ({ ...(await next(step)), variance }), {
    ...{ steps, betas: [0.9, 0.999], state: optimizer, onProgress: bar, signal: options.signal },
    learningRate: (step) => rateAt(step, steps, rate),
    onStep(step, loss) {
      record(step, loss);
      if (performance.now() - saved < options.every * 1000) return;
      saved = performance.now();
      saveOrReport(options.work, plan, state);
    },
  });
  bar.done();
  await trainer.close();
  saveState(options.work, plan, state);
  const trained = transcodersFrom(spec, weights, { model: recipe.name, checkpoint: model.hash, ...HOOKS });
  writeTranscoders(options.out, trained, { dtype: "bfloat16" });
  trained.close();
  const made = readTranscoders(options.out, { model });
  const { kinds, ...fresh } = await captureTokens(
    { ...from, images: true, seed: options.seed + 1 },
    0,
    MEASURED_STEPS * stepTokens,
  );
  const quality = await transcoderQuality(made, fresh, kinds);
  made.close();
  const [curve] = state.curves.stages;
  writeWhole(
    join(options.out, "training.json"),
    asJson({ ...plan, tokens: steps * stepTokens, curve, quality }),
  );
  await model.close();
  return quality;
}

/** Notes a training's course in its curves. */
function recorder(
  { curves }: TrainingState,
  { steps, ...of }: Pick<StageCurve, "name" | "steps" | "rate" | "rows">,
): (step: number, loss: number) => void {
  curves.stages[0] ??= { steps, ...of, seconds: 0, loss: [] };
  const [curve] = curves.stages;
  let recent: number[] = [];
  let before = performance.now();
  return (step, loss) => {
    recent.push(loss);
    const now = performance.now();
    curve.seconds += (now - before) / 1000;
    before = now;
    if ((step + 1) % SMOOTHED !== 0 && step + 1 !== steps) return;
    curve.loss.push([step + 1, recent.reduce((a, b) => a + b) / recent.length]);
    recent = [];
  };
}
