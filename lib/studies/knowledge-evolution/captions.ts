/** Captions with the states that they were generated from, and the same texts read beside other images. */
import { joinTokens, stackStates, statesOfSteps } from "../../analysis/index.js";
import { appendTokens, type Model } from "../../model/index.js";
import { checkOptions, flag, integer, listOf, type OptionChecks, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { COUNT } from "../../study-options.js";
import { asMessage, type VisualTask } from "../../tasks/index.js";
import type { Tensor } from "../../tensor.js";

/** A generated text. */
export interface Caption {
  readonly text: string;
  /** Without the token that ended it. */
  readonly ids: readonly number[];
  /** Each token's own text: joined they are the whole. */
  readonly pieces: readonly string[];
  /** `(states, tokens, width)`: the states of the last position, from which each token was predicted. */
  readonly states?: Tensor;
}

export interface DescribeOptions extends TaskOptions {
  readonly maxNewTokens: number;
  /** Images described at once. */
  readonly rowsPerCall: number;
  readonly skipLayers?: readonly number[];
  /** Keep the states. */
  readonly states?: boolean;
}

/** Hooks of all states, in the order of depth: what enters block 0, then what each block leaves. */
export function stateHooks(model: Model): string[] {
  return ["blocks.0.hook_resid_pre", ...model.layers.map((l) => `blocks.${l}.hook_resid_post`)];
}

const READING_OPTIONS: OptionChecks<Pick<DescribeOptions, "rowsPerCall"> & TaskOptions> = {
  ...TASK_OPTIONS,
  rowsPerCall: COUNT,
};
const DESCRIBE_OPTIONS: OptionChecks<DescribeOptions> = {
  ...READING_OPTIONS,
  maxNewTokens: COUNT,
  skipLayers: listOf(integer(0)),
  states: flag,
};

/** Describes each image by greedy decoding. Tasks that ask the same of no image are described once. */
export async function describe(
  model: Model,
  tasks: readonly VisualTask[],
  options: DescribeOptions,
): Promise<Caption[]> {
  checkOptions("describe", options, DESCRIBE_OPTIONS);
  const keys = tasks.map((task, i) => (task.images.length > 0 ? `${i}` : JSON.stringify(asMessage(task))));
  const distinct = [...new Set(keys)];
  const asked = distinct.map((key) => tasks[keys.indexOf(key)]);
  const captions = await describeEach(model, asked, options);
  return keys.map((key) => captions[distinct.indexOf(key)]);
}

async function describeEach(
  model: Model,
  tasks: readonly VisualTask[],
  { maxNewTokens, rowsPerCall, skipLayers, states = false, onProgress, signal }: DescribeOptions,
): Promise<Caption[]> {
  const hooks = stateHooks(model);
  const capture = states ? hooks.map((hook) => ({ hook, positions: "last" as const })) : undefined;
  const captions: Caption[] = [];
  for (let start = 0; start < tasks.length; start += rowsPerCall) {
    const some = tasks.slice(start, start + rowsPerCall).map((task) => [asMessage(task)]);
    const rows = await model.generate(some, { maxNewTokens, skipLayers, capture, signal });
    const written = rows.map(({ ids, finishReason }) => (finishReason === "token" ? ids.slice(0, -1) : ids));
    const pieces = piecesOf(model, written);
    rows.forEach(({ text, steps }, row) => {
      const ids = written[row];
      const kept =
        states && ids.length > 0 ? statesOfSteps(steps, hooks, { row, tokens: ids.length }) : undefined;
      captions.push({ text, ids, pieces: pieces[row], ...(kept ? { states: kept } : {}) });
    });
    onProgress?.(captions.length, tasks.length, "describing");
  }
  return captions;
}

/** By text, what each of its tokens adds. */
function piecesOf({ tokenizer }: Model, texts: readonly (readonly number[])[]): string[][] {
  const prefixes = texts.flatMap((ids) => ids.map((_, t) => ids.slice(0, t + 1)));
  const decoded = tokenizer?.decodeBatch(prefixes, { skip_special_tokens: true }) ?? [];
  let at = 0;
  return texts.map((ids) => {
    const upTo = decoded.slice(at, at + ids.length);
    at += ids.length;
    return upTo.map((text, t) => text.slice(t === 0 ? 0 : upTo[t - 1].length));
  });
}

/**
 * Texts read as if they had been generated after these prompts (teacher forcing): with another image, without one, or by
 * another model of the same tokens.
 * @param texts token ids for each task, one or more
 * @returns `(states, Σ tokens, width)`: the states from which the tokens of all texts were predicted
 */
export async function forcedReading(
  model: Model,
  tasks: readonly VisualTask[],
  texts: readonly (readonly number[])[],
  options: Pick<DescribeOptions, "rowsPerCall"> & TaskOptions,
): Promise<Tensor> {
  checkOptions("forcedReading", options, READING_OPTIONS);
  const { rowsPerCall, onProgress, signal } = options;
  const hooks = stateHooks(model);
  const states: Tensor[] = [];
  for (let start = 0; start < tasks.length; start += rowsPerCall) {
    const ids = texts.slice(start, start + rowsPerCall);
    const prompts = await model.prepare(
      tasks.slice(start, start + rowsPerCall).map((task) => [asMessage(task)]),
    );
    const batch = appendTokens(prompts, ids);
    const longest = Math.max(...ids.map((own) => own.length));
    // What a token is predicted from stands one column before it; shorter rows repeat their last.
    const positions = batch.answer.map((columns) =>
      Array.from({ length: longest }, (_, t) => columns[Math.min(t, columns.length - 1)] - 1),
    );
    const { cache } = await model.run(batch, {
      capture: hooks.map((hook) => ({ hook, positions })),
      logits: "none",
      signal,
    });
    ids.forEach((own, row) => {
      states.push(stackStates(hooks.map((hook) => rowOf(cache.get(hook), row, own.length))));
    });
    onProgress?.(Math.min(start + rowsPerCall, tasks.length), tasks.length, "reading");
  }
  return joinTokens(states);
}

/** The first positions of one row, `(rows, positions, width)` → `(count, width)`. */
function rowOf({ data, shape }: Tensor, row: number, count: number): Tensor {
  const [, positions, width] = shape;
  const start = row * positions * width;
  return { data: data.slice(start, start + count * width), shape: [count, width] };
}
