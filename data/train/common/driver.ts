/** Trains a recipe: stages, checkpoints, resume, curves. */
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  readSafetensors,
  readSafetensorsHeader,
  writeSafetensors,
} from "../../../lib/model/checkpoint/index.js";
import { loadModel } from "../../../lib/model/load.js";
import type { Model } from "../../../lib/model/model.js";
import {
  type AdamState,
  createAdamState,
  initialWeights,
  saveCheckpoint,
  Trainer,
  train,
  type Weights,
} from "../../../lib/model/training/index.js";
import { progressBar } from "../../../lib/plot/index.js";
import type { Tensor } from "../../../lib/tensor.js";
import { residualScale, silence } from "./initial.js";
import type { DataOptions, Recipe, Stage } from "./recipe.js";
import { batchesOf, learning } from "./rows.js";
import { type TokenizerFiles, wordTokenizer } from "./words.js";

export interface TrainingOptions extends DataOptions {
  /** Where the checkpoint goes; the language model from before its visual training beside it, with `-language`. */
  readonly out: string;
  /** Where an interrupted training goes on from. */
  readonly work: string;
  readonly threads: number;
  /** Share of the recipe's steps to take. */
  readonly scale: number;
  /** Seconds between two saves. */
  readonly every: number;
  readonly signal?: AbortSignal;
}

/** What a training went through, as `training.json` keeps it. */
export interface Curves {
  readonly seed: number;
  readonly parameters: number;
  readonly stages: StageCurve[];
}

interface StageCurve {
  readonly name: string;
  readonly steps: number;
  readonly rows: number;
  readonly rate: number;
  seconds: number;
  /** Mean loss of each 20 steps, nats per predicted token, by the step after them. */
  readonly loss: [step: number, loss: number][];
}

interface Progress {
  stage: number;
  readonly curves: Curves;
  readonly weights: Weights;
  readonly state: AdamState;
}

const WARM_UP = 60;
const SMOOTHED = 20;
/** Of the language model through which a tower alone learns: as many as DeepStack writes into. */
const READER_BLOCKS = 3;

/** Trains all stages, or what is left of them, and writes the checkpoint. */
export async function trainRecipe(recipe: Recipe, options: TrainingOptions): Promise<void> {
  const files = wordTokenizer(recipe.frame, await recipe.texts(options));
  const raw = recipe.config(files.vocabularySize, files.id);
  const stages = recipe.stages(options);
  const begun = resumed(options.work) ?? fresh(raw, options.seed);
  const write = (folder: string, config: Readonly<Record<string, unknown>>, weights: Weights): void => {
    saveCheckpoint(folder, config, weights);
    saveTokenizer(folder, files, config);
  };
  write(options.out, raw, begun.weights);
  for (const [name, content] of Object.entries(recipe.files)) writeJson(join(options.out, name), content);
  const reader = await loadModel(options.out, { threads: 1 });
  let progress = begun;
  for (; progress.stage < stages.length; ) {
    const stage = stages[progress.stage];
    await runStage(stage, raw, reader, progress, options);
    if (stage.part === "language")
      write(`${options.out}-language`, languageConfig(raw), languageWeights(progress.weights));
    const weights = stage.part === "tower" ? withTower(raw, progress) : progress.weights;
    progress = { ...progress, weights, stage: progress.stage + 1, state: createAdamState() };
    keep(options.work, progress);
  }
  await reader.close();
  write(options.out, raw, progress.weights);
  writeJson(join(options.out, "training.json"), progress.curves);
}

async function runStage(
  stage: Stage,
  raw: Readonly<Record<string, unknown>>,
  reader: Model,
  progress: Progress,
  { seed, threads, scale, every, work, signal }: TrainingOptions,
): Promise<void> {
  const steps = Math.max(1, Math.round(stage.steps * scale));
  const trainer = await Trainer.open(trained(stage, raw), {
    threads,
    routerAuxLossCoef: stage.balance,
    frozen: stage.frozen,
  });
  const draw = batchesOf(stage, seed);
  const { rows, rate, name } = stage;
  progress.curves.stages[progress.stage] ??= { name, steps, rows, rate, seconds: 0, loss: [] };
  const curve = progress.curves.stages[progress.stage];
  const bar = progressBar(`${name}`);
  let recent: number[] = [];
  let before = performance.now();
  let saved = before;
  await train(trainer, progress.weights, async (step) => learning(reader, await draw(step)), {
    steps,
    learningRate: (step) => rateAt(step, steps, rate),
    betas: [0.9, 0.98],
    weightDecay: 0.05,
    maxGradNorm: 1,
    state: progress.state,
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
      keep(work, progress);
    },
  });
  bar.done();
  await trainer.close();
}

function rateAt(step: number, steps: number, largest: number): number {
  if (step < WARM_UP) return (largest * (step + 1)) / WARM_UP;
  const done = (step - WARM_UP) / Math.max(1, steps - WARM_UP);
  return largest * Math.max(0.02, 0.5 * (1 + Math.cos(Math.PI * done)));
}

function fresh(raw: Readonly<Record<string, unknown>>, seed: number): Progress {
  const weights = initialWeights(raw, seed);
  residualScale(weights);
  silence(weights, READER_BLOCKS);
  const parameters = [...weights.values()].reduce((n, { data }) => n + data.length, 0);
  return { stage: 0, curves: { seed, parameters, stages: [] }, weights, state: createAdamState() };
}

/** The config.json of what a stage trains. */
function trained({ part }: Stage, raw: Readonly<Record<string, unknown>>): Record<string, unknown> {
  if (part === "language") return languageConfig(raw);
  if (part === "whole") return raw;
  const language = languageConfig(raw);
  const num_hidden_layers = Math.min(READER_BLOCKS, language.num_hidden_layers as number);
  const types = language.layer_types as readonly string[] | undefined;
  const layer_types = types && { layer_types: types.slice(0, num_hidden_layers) };
  return { ...raw, text_config: { ...language, num_hidden_layers, ...layer_types } };
}

/** Fresh weights around a tower that has learnt to see. */
function withTower(raw: Readonly<Record<string, unknown>>, { weights, curves }: Progress): Weights {
  const tower = [...weights].filter(([name]) => /^(vision_tower|visual)\./.test(name));
  return new Map([...fresh(raw, curves.seed).weights, ...tower]);
}

/** The language model inside, with a config.json of its own. */
function languageConfig(raw: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return raw.text_config as Record<string, unknown>;
}

function languageWeights(weights: Weights): Weights {
  return new Map([...weights].filter(([name]) => /^(model|lm_head)\./.test(name)));
}

const PARTS = ["weights", "first", "second"] as const;

/** Writes everything that going on needs; an interruption leaves the last one whole. */
function keep(work: string, { stage, curves, weights, state }: Progress): void {
  mkdirSync(work, { recursive: true });
  const parts = {
    weights: new Map([...weights].map(([name, { data }]) => [name, data])),
    first: state.first,
    second: state.second,
  };
  const tensors: Record<string, Tensor> = {};
  for (const part of PARTS)
    for (const [name, data] of parts[part])
      tensors[`${part}/${name}`] = { data, shape: weights.get(name)!.shape };
  const now = JSON.stringify({ stage, step: state.step, curves });
  writeSafetensors(join(work, "state.safetensors"), tensors, { progress: now });
}

function resumed(work: string): Progress | undefined {
  const file = join(work, "state.safetensors");
  if (!existsSync(file)) return undefined;
  const { metadata } = readSafetensorsHeader(file);
  const { stage, step, curves } = JSON.parse(metadata!.progress) as {
    stage: number;
    step: number;
    curves: Curves;
  };
  const tensors = readSafetensors(file);
  const part = (wanted: string): [string, Tensor][] =>
    [...tensors].flatMap(([name, x]): [string, Tensor][] =>
      name.startsWith(`${wanted}/`) ? [[name.slice(wanted.length + 1), x]] : [],
    );
  const data = (wanted: string): Map<string, Float32Array> =>
    new Map(part(wanted).map(([name, x]) => [name, x.data as Float32Array]));
  const state = { step, first: data("first"), second: data("second") };
  return { stage, curves, weights: new Map(part("weights")), state };
}

function saveTokenizer(
  folder: string,
  files: TokenizerFiles,
  config: Readonly<Record<string, unknown>>,
): void {
  writeJson(join(folder, "tokenizer.json"), files.tokenizer);
  writeJson(join(folder, "tokenizer_config.json"), files.tokenizerConfig);
  writeFileSync(join(folder, "chat_template.jinja"), files.template);
  const text = (config.text_config ?? config) as Readonly<Record<string, unknown>>;
  const ids = ["bos_token_id", "eos_token_id", "pad_token_id"].map((name) => [name, text[name]]);
  writeJson(join(folder, "generation_config.json"), Object.fromEntries(ids));
}

function writeJson(path: string, content: unknown): void {
  writeFileSync(`${path}.tmp`, `${JSON.stringify(content, null, 1)}\n`);
  renameSync(`${path}.tmp`, path);
}
