/** Trains a recipe: stages, checkpoints, resume, curves. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { ModalscopeError } from "../../../lib/errors.js";
import type { Model } from "../../../lib/model/index.js";
import { loadModel } from "../../../lib/model/load.js";
import {
  createAdamState,
  initialLabelWeights,
  initialWeights,
  Trainer,
  train,
  type Weights,
} from "../../../lib/model/training/index.js";
import { progressBar } from "../../../lib/plot/index.js";
import { writeWhole } from "../../../lib/write-file.js";
import { batchesOf } from "./buckets.js";
import { asJson, writeCheckpoint } from "./folder.js";
import { checkpointWeights, languageConfig, languageWeights, partConfig, visionWeights } from "./parts.js";
import type { DataOptions, Recipe, Row, Stage } from "./recipe.js";
import { trainingBatch } from "./rows.js";
import { loadState, type Plan, saveState, type TrainingState } from "./state.js";
import { isTranscript } from "./transcripts.js";
import type { TokenizerFiles } from "./words.js";

export interface TrainingOptions extends DataOptions {
  /**
   * Folder of the checkpoint when all is done; the language model from before its visual training lies beside
   * it, with `-language`.
   */
  readonly out: string;
  /** Folder from which an interrupted training goes on, with the checkpoint as of the last whole stage. */
  readonly work: string;
  readonly threads: number;
  /** Share of the recipe's steps to take. */
  readonly scale: number;
  /** Seconds between two saves. */
  readonly every: number;
  readonly signal?: AbortSignal;
}

/** A training under way. */
interface Training {
  readonly recipe: Recipe;
  readonly options: TrainingOptions;
  readonly tokenizer: TokenizerFiles;
  readonly raw: Readonly<Record<string, unknown>>;
  readonly stages: readonly Stage[];
  readonly plan: Plan;
}

const WARM_UP = 100;
/** Share of the largest learning rate that is left at the end of a stage. */
const LAST_RATE = 0.03;
const SMOOTHED = 20;

/**
 * Trains all stages, or what is left of them, and writes the checkpoint.
 * @throws ModalscopeError when what is saved is of another recipe, or a file cannot be written at the end
 */
export async function trainRecipe(recipe: Recipe, options: TrainingOptions): Promise<void> {
  const training = await prepare(recipe, options);
  const { tokenizer, raw, stages, plan } = training;
  let state = loadState(options.work, plan) ?? begin(training);
  const checkpoint = join(options.work, "checkpoint");
  writeCheckpoint(checkpoint, raw, checkpointWeights(state.weights), tokenizer, recipe.files);
  const reader = await loadModel(checkpoint, { threads: 1 });
  while (state.stage < stages.length) {
    const stage = stages[state.stage];
    await runStage(training, stage, reader, state);
    if (stage.part === "language")
      writeCheckpoint(
        `${options.out}-language`,
        languageConfig(raw),
        languageWeights(state.weights),
        tokenizer,
      );
    const weights = stage.part === "tower" ? withTower(training, state) : state.weights;
    state = { ...state, weights, stage: state.stage + 1, optimizer: createAdamState() };
    saveState(options.work, plan, state);
  }
  await reader.close();
  writeCheckpoint(options.out, raw, checkpointWeights(state.weights), tokenizer, recipe.files);
  writeWhole(join(options.out, "training.json"), asJson(state.curves));
}

async function prepare(recipe: Recipe, options: TrainingOptions): Promise<Training> {
  const tokenizer = await recipe.tokenizer(options);
  const raw = recipe.config(tokenizer.vocabularySize, tokenizer.id);
  const stages = recipe.stages(options);
  const { seed, scale } = options;
  const plan = {
    recipe: recipe.name,
    seed,
    scale,
    config: raw,
    stages: await Promise.all(
      stages.map(async ({ sources, ...settings }) => ({
        ...settings,
        firstRows: digest(await batchesOf({ sources, ...settings }, seed, stepsOf(settings, scale))(0)),
      })),
    ),
  };
  return { recipe, options, tokenizer, raw, stages, plan };
}

const stepsOf = ({ steps }: Pick<Stage, "steps">, scale: number): number =>
  Math.max(1, Math.round(steps * scale));

/** Tells other data apart: a digest of what is said in some rows. */
function digest(rows: readonly Row[]): string {
  const said = rows.map((row) =>
    isTranscript(row) ? row.exchanges : row.map(({ prompt, answers }) => [prompt, answers[0]]),
  );
  return createHash("sha256").update(JSON.stringify(said)).digest("hex").slice(0, 16);
}

async function runStage(
  { raw, options, plan }: Training,
  stage: Stage,
  reader: Model,
  state: TrainingState,
): Promise<void> {
  const { seed, threads, scale, every, work, signal } = options;
  const steps = stepsOf(stage, scale);
  const trainer = await Trainer.open(partConfig(stage.part, raw), {
    threads,
    routerAuxLossCoef: stage.balance,
    frozen: stage.frozen,
    labels: stage.labels && {
      words: stage.labels.words.length,
      coefficient: stage.labels.coefficient,
      alone: stage.part === "tower",
    },
  });
  const draw = batchesOf(stage, seed, steps);
  const { rows, rate, name } = stage;
  const { curves, weights, optimizer } = state;
  curves.stages[state.stage] ??= { name, steps, rows, rate, seconds: 0, loss: [] };
  const curve = curves.stages[state.stage];
  const bar = progressBar(name);
  let recent: number[] = [];
  let before = performance.now();
  let saved = before;
  await train(trainer, weights, async (step) => trainingBatch(reader, await draw(step), stage.labels), {
    steps,
    learningRate: (step) => rateAt(step, steps, rate),
    betas: [0.9, 0.98],
    weightDecay: stage.decay ?? 0.05,
    maxGradNorm: 1,
    state: optimizer,
    signal,
    onProgress: bar,
    onStep(step, loss) {
      recent.push(loss);
      const now = performance.now();
      curve.seconds += (now - before) / 1000;
      before = now;
      if ((step + 1) % SMOOTHED === 0 || step + 1 === steps) {
        curve.loss.push([step + 1, recent.reduce((a, b) => a + b) / recent.length]);
        recent = [];
      }
      if (now - saved < every * 1000) return;
      saved = now;
      saveOrReport(work, plan, state);
    },
  });
  bar.done();
  await trainer.close();
}

/** A save that fails on the way stops nothing: the one of before stays, and the next may succeed. */
export function saveOrReport(work: string, plan: Plan, state: TrainingState): void {
  try {
    saveState(work, plan, state);
  } catch (error) {
    if (!(error instanceof ModalscopeError)) throw error;
    console.error(`\n${error.message} The save of before is kept, and training goes on.`);
  }
}

/** Learning rate at a step: it warms up, then falls along a cosine. */
export function rateAt(step: number, steps: number, largest: number): number {
  const warmUp = Math.min(WARM_UP, steps / 10);
  if (step < warmUp) return (largest * (step + 1)) / warmUp;
  const done = (step - warmUp) / Math.max(1, steps - warmUp);
  return largest * Math.max(LAST_RATE, 0.5 * (1 + Math.cos(Math.PI * done)));
}

function begin(training: Training): TrainingState {
  const weights = freshWeights(training);
  const parameters = [...checkpointWeights(weights).values()].reduce((n, { data }) => n + data.length, 0);
  const { seed } = training.options;
  return { stage: 0, curves: { seed, parameters, stages: [] }, weights, optimizer: createAdamState() };
}

function freshWeights({ recipe, raw, stages, tokenizer, options: { seed } }: Training): Weights {
  const weights = initialWeights(raw, seed);
  recipe.initialize(weights, tokenizer, seed);
  const labels = stages.find((stage) => stage.labels)?.labels;
  if (!labels) return weights;
  const { hidden_size } = languageConfig(raw) as { hidden_size: number };
  return new Map([...weights, ...initialLabelWeights(hidden_size, labels.words.length, seed)]);
}

/** Fresh weights around a tower that has learned to see, and what reads it. */
function withTower(training: Training, { weights }: TrainingState): Weights {
  return new Map([...freshWeights(training), ...visionWeights(weights)]);
}
