/** Truncation and causal tracing of visual tokens over the blocks. */
import {
  callback,
  checkOptions,
  integer,
  integers,
  type OptionChecks,
  oneOf,
  record,
  required,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import type { Batch } from "../batch/index.js";
import type { Edits } from "../edits/index.js";
import type { Model } from "../model.js";
import {
  type Corruption,
  type CorruptionEdits,
  corruptionEdits,
  type Injections,
  type TokensOf,
} from "./corruptions.js";
import { lessClean } from "./delta.js";
import type { Metric } from "./metrics.js";
import { sweep } from "./sweep.js";

export interface TracingOptions extends TaskOptions {
  readonly corruption: Corruption;
  /** Of each row: `logProb(token)` for the effect in nats, `firstTokenRight(token)` for accuracy. */
  readonly metric: Metric;
  /** Blocks to begin at (default: all). */
  readonly layers?: readonly number[];
  /** DeepStack's injections: "corrupted" with the stream (default), or "clean", which shows what leaks through them. */
  readonly injections?: Injections;
  /**
   * The tokens that are corrupted (default: visual ones). Of text-only twins those of the text in the image's place:
   * `({ passage }) => passage`.
   */
  readonly tokens?: TokensOf;
}

const TRACING_OPTIONS: OptionChecks<TracingOptions> = {
  ...TASK_OPTIONS,
  corruption: required(record, 'a corruption, such as { kind: "zero" }'),
  metric: required(record, "a metric, such as logProb(token)"),
  layers: integers,
  injections: oneOf("corrupted", "clean"),
  tokens: callback,
};

/** A metric by block and sample, so that intervals are over samples. */
export interface LayerCurves {
  readonly layers: readonly number[];
  /** (layers, batch) */
  readonly values: Tensor<Float64Array>;
  /** (layers, batch): `values` less the clean run's; below 0 where the edit harms the answer. */
  readonly delta: Tensor<Float64Array>;
  /** (batch): the metric of the clean run. */
  readonly clean: Float64Array;
}

/**
 * Truncation: the visual tokens are clean up to a block and corrupted from its input on. Where the metric is that of
 * the clean run, the answer has left the visual tokens before that block.
 * @throws ModalscopeError for a batch without images, and for other images of another number of tokens
 * @example
 * const { delta } = await truncation(model, batch, { corruption: { kind: "image", from: others }, metric: logProb(ids) });
 */
export async function truncation(model: Model, batch: Batch, options: TracingOptions): Promise<LayerCurves> {
  checkOptions("truncation", options, TRACING_OPTIONS);
  return curves(model, batch, options, (edits, layer) => edits.from(layer));
}

/**
 * Restoration (causal tracing, Meng et al. 2022): the visual tokens are corrupted up to a block, and get their clean
 * values back at its input. At block 0 that is the clean run; where the metric is that of a wholly corrupted run, the
 * answer was read before that block. Every point runs from block 0 on.
 * @throws ModalscopeError for a batch without images, and for other images of another number of tokens
 */
export async function restoration(model: Model, batch: Batch, options: TracingOptions): Promise<LayerCurves> {
  checkOptions("restoration", options, TRACING_OPTIONS);
  return curves(model, batch, options, (edits, layer) => edits.before(layer));
}

async function curves(
  model: Model,
  batch: Batch,
  { corruption, metric, layers = model.layers, injections, tokens, onProgress, signal }: TracingOptions,
  pick: (edits: CorruptionEdits, layer: number) => Edits,
): Promise<LayerCurves> {
  const edits = await corruptionEdits(model, batch, corruption, { layers, injections, tokens, signal });
  const { values, clean } = await sweep(model, batch, {
    over: { layer: layers },
    edit: ({ layer }) => pick(edits, layer),
    metric,
    onProgress,
    signal,
  });
  return { layers, values, delta: lessClean(values, clean), clean };
}

export interface TruncatedAnswersOptions extends Omit<TracingOptions, "metric"> {
  /** Scores a row's answer: 1 for right and 0 for wrong, or a grade between. */
  readonly score: (answer: string, row: number) => number;
  readonly maxNewTokens: number;
}

/**
 * Truncation judged by whole answers: greedy generation under the edits, at each block.
 * @throws ModalscopeError for a batch without images, and for other images of another number of tokens
 */
export async function truncatedAnswers(
  model: Model,
  batch: Batch,
  options: TruncatedAnswersOptions,
): Promise<LayerCurves> {
  const { metric: _, ...checks } = TRACING_OPTIONS;
  checkOptions("truncatedAnswers", options, {
    ...checks,
    score: required(callback, "a function from an answer to its score"),
    maxNewTokens: required(integer(1), "an integer from 1 on"),
  });
  const { corruption, score, maxNewTokens, layers = model.layers, onProgress, signal } = options;
  const { injections, tokens } = options;
  const edits = await corruptionEdits(model, batch, corruption, { layers, injections, tokens, signal });
  const scores = async (under: Edits): Promise<number[]> => {
    const answers = await model.generate(batch, { maxNewTokens, edits: under, signal });
    return answers.map(({ text }, row) => score(text, row));
  };
  const clean = Float64Array.from(await scores({}));
  const values = new Float64Array(layers.length * batch.size);
  for (const [i, layer] of layers.entries()) {
    values.set(await scores(edits.from(layer)), i * batch.size);
    onProgress?.(i + 1, layers.length, `answers truncated from block ${layer}`);
  }
  const answers = { data: values, shape: [layers.length, batch.size] };
  return { layers, values: answers, delta: lessClean(answers, clean), clean };
}
