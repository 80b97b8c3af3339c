/** The study's runs on one checkpoint: captions, forced readings, skipped blocks, answers to one question. */
import { earlyExit, type Matrix, mutations } from "../../analysis/index.js";
import { ModalscopeError } from "../../errors.js";
import type { Model } from "../../model/index.js";
import { unembedding } from "../../model/methods/index.js";
import type { TaskOptions } from "../../progress.js";
import { blind, type VisualTask } from "../../tasks/index.js";
import { at0, type Tensor } from "../../tensor.js";
import { withRandomTwin } from "../random-twin.js";
import { answered } from "./answers.js";
import { type Caption, type DescribeOptions, describe, forcedReading } from "./captions.js";
import type { AnswerGroup, EvolutionData, Tokens } from "./data.js";
import { captionGate } from "./gate.js";
import {
  type CaptionTask,
  type CaptionTruth,
  kindsOf,
  type Mention,
  mentionsOf,
  wrongShare,
} from "./mentions.js";
import type { EvolutionRules } from "./rules.js";
import { skipped, type WithoutBlocks } from "./skips.js";

export interface ObserveOptions extends TaskOptions {
  readonly rules: EvolutionRules;
  readonly maxNewTokens: number;
  /** Images described at once. */
  readonly rowsPerCall: number;
  readonly seed: number;
  /** The language model from before the visual training. */
  readonly languageModel?: Model;
  /** Tasks of one question each, to be answered with a single word. */
  readonly questions?: readonly (readonly VisualTask[])[];
  /** Names of the plans of skipped blocks to run. Default all. */
  readonly skips?: readonly string[];
}

/** What describing takes of the options. */
function describing({ maxNewTokens, rowsPerCall, onProgress, signal }: ObserveOptions): DescribeOptions {
  return { maxNewTokens, rowsPerCall, onProgress, signal };
}

/** A model's captions of one seed's images, and readings of them that several checkpoints take: each is made once. */
export interface Described {
  readonly model: Model;
  readonly said: readonly Said[];
  /** Last states of the model's reading without images, `(Σ tokens, width)`. */
  textAlone(): Promise<Tensor>;
  /** The reading by random weights. */
  twin(): Promise<NonNullable<EvolutionData["twin"]>>;
  readonly without: WithoutBlocks;
  /** The model's answers to the questions. */
  answers(): Promise<readonly AnswerGroup[]>;
}

/** @throws ModalscopeError when fewer than two images are described */
export async function describeAll(
  model: Model,
  tasks: readonly CaptionTask[],
  options: ObserveOptions,
): Promise<Described> {
  const captions = await describe(model, tasks, describing(options));
  const said = captions.flatMap((caption, i) =>
    caption.ids.length > 0 ? [{ caption, task: tasks[i] }] : [],
  );
  if (said.length < 2)
    throw new ModalscopeError(
      `${said.length} of ${tasks.length} images were described.`,
      "Two are needed: one is the other's control.",
    );
  const ids = said.flatMap(({ caption }) => caption.ids);
  return {
    model,
    said,
    textAlone: once(async () => lastOf(await readAll(model, blindly(said), said, options))),
    twin: once(() =>
      withRandomTwin(model, 2 * options.seed + 2, async (drawn) => {
        const states = await readAll(drawn, imagesOf(said), said, options);
        return { states, change: await changeOf(drawn, states, ids, options) };
      }),
    ),
    without: withoutBlocks(model, said, options, captionsOf(said)),
    answers: once(() => answered(model, options.questions ?? [], options)),
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Describes the images without some blocks, each set of blocks once. */
function withoutBlocks(
  model: Model,
  said: readonly Said[],
  options: ObserveOptions,
  original?: readonly Caption[],
): WithoutBlocks {
  const known = new Map(original ? [["", Promise.resolve(original)]] : []);
  const tasks = said.map(({ task }) => task);
  return (skipLayers) => {
    const key = skipLayers.join(" ");
    const run =
      known.get(key) ?? describe(model, tasks, { ...describing(options), skipLayers, onProgress: undefined });
    known.set(key, run);
    return run;
  };
}

/** Measurements of one checkpoint, on its own captions. */
export async function observe(described: Described, options: ObserveOptions): Promise<EvolutionData> {
  const { model, said } = described;
  // Read at once: kept while they are decoded, states would cost half as much again as the captions themselves.
  const states = await readAll(model, imagesOf(said), said, options);
  const read = await measure(described, model, states, options);
  const without = await describe(model, blindly(said), { ...describing(options), onProgress: undefined });
  return {
    ...read,
    skips: await skipped(described.without, read, truthsOf(said), options),
    answers: await described.answers(),
    gate: captionGate(
      truthsOf(said),
      captionsOf(said).map(({ pieces }) => pieces),
      without.map(({ pieces }) => pieces),
    ),
  };
}

/**
 * The same captions, read beside another caption's image and held against what is true of that: nothing of the own image is in
 * the reading, and no block can put right what is wrong of the other.
 */
export async function observeOtherImage(
  described: Described,
  options: ObserveOptions,
): Promise<EvolutionData> {
  const { model, said, without } = described;
  const states = await readAll(model, imagesOf(said, 1), said, options);
  const read = await measure(described, model, states, { ...options, languageModel: undefined });
  const truths = truthsOf(said, 1);
  // The blocks of skip.1 are no matter of the image.
  const skips = await skipped(without, read, truths, { ...options, skips: ["skip.2", "skip.3"] });
  return { ...read, wrong: wrongOf(said, truths), skips, answers: [], gate: [] };
}

/**
 * The captions of a model, read by random weights of its architecture. Without some blocks they describe the images themselves,
 * and of the questions they have the states, to the model's answers.
 */
export async function observeRandom(described: Described, options: ObserveOptions): Promise<EvolutionData> {
  const { model, said } = described;
  const { seed, languageModel, questions = [] } = options;
  const asked = await described.answers();
  return withRandomTwin(model, 2 * seed + 1, async (twin) => {
    const states = await readAll(twin, imagesOf(said), said, options);
    const reading = (blind?: Model) => measure(described, twin, states, { ...options, languageModel: blind });
    const read = await (languageModel ? withRandomTwin(languageModel, 2 * seed + 3, reading) : reading());
    const own = withoutBlocks(twin, said, options);
    const skips = await skipped(own, read, truthsOf(said), { ...options, skips: ["skip.1"] });
    const answers = await answered(twin, questions, { ...options, known: asked });
    return { ...read, skips, answers, gate: [] };
  });
}

/** The captions' tasks, with the image of the caption that comes so many later. */
function imagesOf(said: readonly Said[], later = 0): VisualTask[] {
  return said.map(({ task }, i) => ({ ...task, images: said[(i + later) % said.length].task.images }));
}

const captionsOf = (said: readonly Said[]): Caption[] => said.map(({ caption }) => caption);

/** What is true of the captions' images, or of the image of the caption that comes so many later. */
const truthsOf = (said: readonly Said[], later = 0): CaptionTruth[] =>
  said.map((_, i) => said[(i + later) % said.length].task.truth);

const wrongOf = (said: readonly Said[], truths: readonly CaptionTruth[]): number[] =>
  said.map(({ caption }, i) => wrongShare(mentionsOf(caption.pieces, truths[i])));

const blindly = (said: readonly Said[]): VisualTask[] => said.map(({ task }) => blind(task));

interface Said {
  readonly caption: Caption;
  readonly task: CaptionTask;
}

function readAll(
  model: Model,
  seen: readonly VisualTask[],
  said: readonly Said[],
  { rowsPerCall, signal }: ObserveOptions,
): Promise<Tensor> {
  const texts = said.map(({ caption }) => caption.ids);
  return forcedReading(model, seen, texts, { rowsPerCall, signal });
}

/** The states behind the last block, `(tokens, width)`; a copy, so that the others need not be kept. */
function lastOf(states: Tensor): Tensor {
  const { data, shape } = at0(states, -1);
  return { data: data.slice(), shape };
}

/** Changes of the distributions that some states give, block by block. */
async function changeOf(
  reader: Model,
  states: Tensor,
  tokens: readonly number[],
  { signal }: ObserveOptions,
): Promise<Matrix> {
  return (await earlyExit(states, unembedding(reader), { tokens, runnersUp: 0, signal })).change;
}

/** Early exit and mutations of given states, beside the same texts without an image, with another, by other weights. */
async function measure(
  described: Described,
  reader: Model,
  states: Tensor,
  options: ObserveOptions,
): Promise<Omit<EvolutionData, "skips" | "answers" | "gate">> {
  const { model, said } = described;
  const { rules, languageModel, seed, signal } = options;
  const blocks = model.layers.length;
  const critical = Math.max(0, Math.round(rules.critical * blocks) - 1);
  const referenceStates = {
    "text alone":
      reader === model
        ? await described.textAlone()
        : lastOf(await readAll(reader, blindly(said), said, options)),
    "another image": lastOf(await readAll(reader, imagesOf(said, 2), said, options)),
  };
  const { tokens, follow, ids } = tokensOf(model, said);
  const exit = await earlyExit(states, unembedding(reader), { tokens: ids, follow, referenceStates, signal });
  const settings = { critical, prominence: rules.prominence, seed };
  const twin = await described.twin();
  const readable = languageModel && said.every(({ caption }) => sameTokens(languageModel, caption));
  const change =
    readable && languageModel.layers.length === blocks
      ? await changeOf(
          languageModel,
          await readAll(languageModel, blindly(said), said, options),
          ids,
          options,
        )
      : undefined;
  return {
    blocks,
    critical,
    texts: said.map(({ caption }) => caption.text),
    tokens,
    exit,
    mutations: mutations(exit.change, settings),
    states,
    twin,
    ...(change ? { language: { change, mutations: mutations(change, settings) } } : {}),
    wrong: wrongOf(said, truthsOf(said)),
  };
}

/** A language model of other tokens would not read the same text. */
function sameTokens(model: Model, { ids, text }: Caption): boolean {
  return ids.every((id) => id < model.config.vocab_size) && model.decode(ids) === text;
}

/** The tokens' kinds and mentions, and the ids of the mentions' rivals, which early exit follows. */
function tokensOf(
  model: Model,
  said: readonly Said[],
): { tokens: Tokens; follow: number[][]; ids: number[] } {
  const idOf = wordIds(model);
  const pieces = said.flatMap(({ caption }) => caption.pieces);
  const mention: (Mention | undefined)[] = [];
  const kind = said.flatMap(({ caption, task }) => {
    const own = mentionsOf(caption.pieces, task.truth);
    caption.pieces.forEach((_, t) => {
      mention.push(own.find(({ token }) => token === t));
    });
    return kindsOf(caption.pieces, own, task.prompt);
  });
  const ids = said.flatMap(({ caption }) => caption.ids);
  const follow = mention.map((own, t) => [
    ...new Set((own?.rivals ?? []).map(idOf).filter((id) => id !== ids[t])),
  ]);
  const caption = said.flatMap(({ caption: own }, c) => own.ids.map(() => c));
  return { tokens: { pieces, caption, kind, mention, rivals: follow.map((own) => own.length) }, follow, ids };
}

/** The first token of a word in the middle of a text. */
function wordIds(model: Model): (word: string) => number {
  const encode = (text: string): readonly number[] =>
    model.tokenizer ? model.tokenizer.encode(text, { add_special_tokens: false }) : [];
  const begin = encode("a").length;
  const known = new Map<string, number>();
  return (word) => {
    const id = known.get(word) ?? encode(`a ${word}`)[begin];
    known.set(word, id);
    return id;
  };
}
