/** Does training on images too lower the unexplained variance in middle layers? */
import {
  type Activations,
  reconstruct,
  type TranscoderSet,
  trainTranscoders,
  varianceOf,
} from "../../circuits/index.js";
import type { Model, Prompt } from "../../model/index.js";
import {
  animals,
  asMessage,
  hands,
  inWords,
  planets,
  type Split,
  type SyntheticTask,
  sums,
} from "../../tasks/index.js";
import type { Tensor } from "../../tensor.js";
import type { Training } from "./measurements.js";
import { drawFor, forSamples, layersBetween, type Subject } from "./subject.js";

/** Tokens that are captured for either set, steps, and tokens of a step. */
const TOKENS = 6144;
const STEPS = 60;
const LEAST_TOKENS = 1024;
const LEAST_STEPS = 10;
const STEP_TOKENS = 512;
const HELD_OUT = 48;
const KINDS = 4;

interface PromptPair {
  readonly image: Prompt;
  readonly words: Prompt;
}

/** Questions with their images, and with the words for them, of all kinds. */
function prompts(subject: Subject, split: Split, each: number): PromptPair[] {
  const of = <Scene>(synthetic: SyntheticTask<Scene>, types: readonly string[]): PromptPair[] =>
    drawFor(subject, synthetic, { types, count: each, split }).map((task) => ({
      image: [asMessage(task)],
      words: [asMessage(inWords(synthetic, task))],
    }));
  return [
    ...of(planets, ["name", "color", "beside"]),
    ...of(animals, ["name", "verify"]),
    ...of(sums, ["plus", "minus", "times", "divided", "left", "right"]),
    ...of(hands, ["apples", "dots", "stripes", "fingers", "what"]),
  ];
}

/** The block that the document names, 15 of 34, at this model's depth. */
export function middleBlock({ layers }: Model): number {
  return Math.min(layers.length - 1, Math.floor((15 / 34) * layers.length));
}

/** Trains transcoders of one middle block twice, and compares them prompt by prompt on held-out images. */
export async function measureTraining(subject: Subject): Promise<Training> {
  const { model, seed, set } = subject;
  const layer = middleBlock(model);
  const wanted = forSamples(subject, TOKENS, LEAST_TOKENS);
  const each = Math.ceil(wanted / 20 / KINDS);
  const drawn = prompts(subject, "train", each);
  const [image, words] = [
    await tokensOf(
      subject,
      layer,
      drawn.map((own) => own.image),
    ),
    await tokensOf(
      subject,
      layer,
      drawn.map((own) => own.words),
    ),
  ];
  const count = Math.min(wanted, 2 * image.count, words.count);
  const both = joined(firstRows(image, Math.floor(count / 2)), firstRows(words, Math.ceil(count / 2)));
  const [{ width, features, activation }] = set.layers;
  const k = activation.kind === "topk" ? activation.k : 8;
  const spec = { kind: "per-layer", layers: 1, width, features, k } as const;
  const names = { model: set.model, hookIn: set.hookIn, hookOut: set.hookOut };
  const options = { steps: forSamples(subject, STEPS, LEAST_STEPS), stepTokens: STEP_TOKENS, seed, names };
  const held = prompts(subject, "heldout", Math.ceil(HELD_OUT / KINDS)).map((own) => own.image);
  const tokens = await tokensOf(subject, layer, held);
  const unexplained = async (from: BlockTokens): Promise<number[]> => {
    const { set: made } = await trainTranscoders(spec, from.activations, options);
    const found = await unexplainedByPrompt(made, 0, tokens);
    made.close();
    return found;
  };
  return { joint: await unexplained(both), text: await unexplained(firstRows(words, count)) };
}

/** The same of sets of all layers, over the middle third. */
export async function compareSets(subject: Subject, text: TranscoderSet): Promise<Training> {
  const held = prompts(subject, "heldout", Math.ceil(HELD_OUT / KINDS)).map((own) => own.image);
  const layers = layersBetween(subject.model, ...subject.settings.middle);
  const byLayer = { joint: [] as number[][], text: [] as number[][] };
  for (const [layer, tokens] of await tokensByLayer(subject, layers, held)) {
    byLayer.joint.push(await unexplainedByPrompt(subject.set, layer, tokens));
    byLayer.text.push(await unexplainedByPrompt(text, layer, tokens));
  }
  const mean = (rows: readonly (readonly number[])[]): number[] =>
    held.map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
  return { joint: mean(byLayer.joint), text: mean(byLayer.text) };
}

/** MLP inputs and outputs of one block at the tokens of prompts. */
interface BlockTokens {
  readonly activations: Activations;
  readonly count: number;
  /** Prompt of each token. */
  readonly promptOf: readonly number[];
}

async function tokensOf(subject: Subject, layer: number, all: readonly Prompt[]): Promise<BlockTokens> {
  const found = await tokensByLayer(subject, [layer], all);
  return found.get(layer)!;
}

async function tokensByLayer(
  { model, set, rowsPerCall }: Subject,
  layers: readonly number[],
  all: readonly Prompt[],
): Promise<ReadonlyMap<number, BlockTokens>> {
  const hooksOf = (layer: number): string[] =>
    [set.hookIn, set.hookOut].map((hook) => `blocks.${layer}.${hook}`);
  const capture = layers.flatMap(hooksOf);
  const rows = new Map(capture.map((hook) => [hook, [] as Float32Array[]]));
  const promptOf: number[] = [];
  for (let first = 0; first < all.length; first += rowsPerCall) {
    const batch = await model.prepare(all.slice(first, first + rowsPerCall));
    const stopAtLayer = Math.max(...layers) + 1;
    const { cache } = await model.run(batch, { capture, stopAtLayer, logits: "none" });
    const places = batch.tokenPositions.flatMap((columns, row) => {
      promptOf.push(...columns.map(() => first + row));
      return columns.map((column) => row * batch.seqLength + column);
    });
    for (const [hook, own] of rows) {
      const { data, shape } = cache.get(hook);
      for (const place of places) own.push(data.slice(place * shape[2], (place + 1) * shape[2]));
    }
  }
  return new Map(
    layers.map((layer) => {
      const [inputs, outputs] = hooksOf(layer).map((hook) => [stacked(rows.get(hook)!)]);
      return [layer, { activations: { inputs, outputs }, count: promptOf.length, promptOf }];
    }),
  );
}

function stacked(rows: readonly Float32Array[]): Tensor {
  const width = rows[0].length;
  const data = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) data.set(row, i * width);
  return { data, shape: [rows.length, width] };
}

function firstRows({ activations: { inputs, outputs }, promptOf }: BlockTokens, count: number): BlockTokens {
  const part = ({ data, shape: [, width] }: Tensor): Tensor => ({
    data: data.subarray(0, count * width),
    shape: [count, width],
  });
  return {
    activations: { inputs: inputs.map(part), outputs: outputs.map(part) },
    count,
    promptOf: promptOf.slice(0, count),
  };
}

function joined(a: BlockTokens, b: BlockTokens): BlockTokens {
  const both = (x: Tensor, y: Tensor): Tensor => ({
    data: Float32Array.from([...x.data, ...y.data]),
    shape: [x.shape[0] + y.shape[0], x.shape[1]],
  });
  const pair = (name: "inputs" | "outputs"): Tensor[] => [
    both(a.activations[name][0], b.activations[name][0]),
  ];
  return {
    activations: { inputs: pair("inputs"), outputs: pair("outputs") },
    count: a.count + b.count,
    promptOf: [...a.promptOf, ...b.promptOf],
  };
}

/** Σ‖y − ŷ‖² over a prompt's tokens, as a share of what the mean over all tokens leaves on as many. */
async function unexplainedByPrompt(
  set: TranscoderSet,
  layer: number,
  { activations, promptOf }: BlockTokens,
): Promise<number[]> {
  const [x, y] = [activations.inputs[0], activations.outputs[0]];
  const features = [];
  for (const own of set.layers)
    features.push(
      own.layer === layer
        ? await own.encode(x)
        : await own.encode({ data: new Float32Array(0), shape: [0, own.width] }),
    );
  const made = reconstruct(set, layer, { features, inputs: set.layers.map(() => x) });
  const variance = varianceOf(y);
  const width = y.shape[1];
  const errors: number[] = [];
  const counts: number[] = [];
  for (const [t, prompt] of promptOf.entries()) {
    let error = 0;
    for (let j = t * width; j < (t + 1) * width; j++) error += (y.data[j] - made.data[j]) ** 2;
    errors[prompt] = (errors[prompt] ?? 0) + error;
    counts[prompt] = (counts[prompt] ?? 0) + 1;
  }
  return errors.map((error, i) => error / counts[i] / variance);
}
