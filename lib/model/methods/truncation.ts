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
  some,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import type { Batch } from "../batch/index.js";
import type { Edits } from "../edits/index.js";
import { ELEMENT_BYTES } from "../engine/index.js";
import type { Model } from "../model.js";
import { type Corruption, corruptionEdits, type Injections, type TokensOf } from "./corruptions.js";
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
  layers: some(integers),
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
  return curves(model, batch, options, "truncated");
}

/**
 * Restoration (causal tracing, Meng et al. 2022): the visual tokens are corrupted up to a block, and get their clean
 * values back at its input. At block 0 that is the clean run; where the metric is that of a wholly corrupted run, the
 * answer was read before that block. Every point runs from block 0 on.
 * @throws ModalscopeError for a batch without images, and for other images of another number of tokens
 */
export async function restoration(model: Model, batch: Batch, options: TracingOptions): Promise<LayerCurves> {
  checkOptions("restoration", options, TRACING_OPTIONS);
  return curves(model, batch, options, "restored");
}

async function curves(
  model: Model,
  batch: Batch,
  options: TracingOptions,
  kind: "truncated" | "restored",
): Promise<LayerCurves> {
  const { corruption, metric, layers = model.layers, injections, tokens, onProgress, signal } = options;
  const restores = kind === "restored";
  const parts: LayerCurves[] = [];
  for (const some of partsThatFit(model, batch, layers)) {
    const edits = await corruptionEdits(model, batch, corruption, {
      ...{ layers: some, injections, tokens, restores, signal },
    });
    const before = parts.flatMap((part) => part.layers).length;
    const { values, clean } = await sweep(model, batch, {
      over: { layer: some },
      edit: ({ layer }) => (restores ? edits.before(layer) : edits.from(layer)),
      metric,
      onProgress: (done, total, label) => {
        const share = (before + (some.length * done) / total) / layers.length;
        onProgress?.(Math.round(share * 1000), 1000, label);
      },
      signal,
    });
    parts.push({ layers: some, values, delta: lessClean(values, clean), clean });
  }
  return joined(parts, batch.size);
}

/** Copies of the stream that a block of a curve holds: of the clean run, of its edit, and of the values that it is made from. */
const STREAM_COPIES = 3;

/**
 * Blocks in parts whose streams fit into the memory for captures together; each part takes the clean run once more.
 */
function partsThatFit(
  { engine, config }: Model,
  { size, seqLength }: Batch,
  layers: readonly number[],
): number[][] {
  const bytes = STREAM_COPIES * size * seqLength * config.hidden_size * ELEMENT_BYTES[engine.float];
  const most = Math.max(1, Math.floor(engine.captureBytes / 2 / bytes));
  const count = Math.max(1, Math.ceil(layers.length / most));
  return Array.from({ length: count }, (_, i) => layers.slice(i * most, (i + 1) * most));
}

function joined(parts: readonly LayerCurves[], size: number): LayerCurves {
  const layers = parts.flatMap((part) => part.layers);
  const all = (of: (part: LayerCurves) => Tensor<Float64Array>): Tensor<Float64Array> => ({
    data: Float64Array.from(parts.flatMap((part) => [...of(part).data])),
    shape: [layers.length, size],
  });
  return {
    layers,
    values: all(({ values }) => values),
    delta: all(({ delta }) => delta),
    clean: parts[0]?.clean ?? new Float64Array(),
  };
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
  const edits = await corruptionEdits(model, batch, corruption, {
    ...{ layers, injections, tokens, signal },
    restores: false,
  });
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
