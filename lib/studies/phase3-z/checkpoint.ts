/** One checkpoint and one data seed: what it is asked, and everything that is read of it. */
import { type Matrix, randomSubspace, zMask } from "../../analysis/index.js";
import type { Model } from "../../model/index.js";
import type { TaskOptions } from "../../progress.js";
import type { Grading, Language, MathsProblem } from "../../tasks/index.js";
import type { Untestable } from "../evidence.js";
import { type Gate, type GateSamples, gate } from "../gate.js";
import type { Measurements, PatchesPart, WeightsPart } from "./parts.js";
import { ask, LANGUAGES, type PromptFormat, promptIds, solvedIn } from "./problems.js";
import {
  cloudsOf,
  type PatchPlan,
  readBridge,
  readLengthscales,
  readPatches,
  readShifts,
  readUpdates,
} from "./readings.js";
import { phase3Document, scaledLayers } from "./rules.js";
import { readSeparation } from "./separation.js";
import { wordsBefore } from "./shift.js";
import { readStates, type States } from "./states.js";
import { attentionOf, type Subject, subjectOf } from "./subject.js";
import { readWeights, weightsOf } from "./weights.js";

/** How a checkpoint is asked and read. */
export interface AskPlan extends TaskOptions {
  readonly seed: number;
  readonly format: PromptFormat;
  /** Layers to patch, the primary one first; those before and behind the sharpest drop when left out. */
  readonly layers?: readonly number[];
  /** Size of Z; the document's in proportion when left out. */
  readonly k?: number;
  readonly foldGain?: boolean;
  /** Problems whose answers are shifted, each towards those of all the others of them. */
  readonly shiftCount: number;
  /** Problems whose tokens lengthscales are fitted on, half of them held out. */
  readonly ardCount: number;
  readonly maxNewTokens: number;
  /** Rows that run together. Default 160. */
  readonly rowsPerCall?: number;
}

/** A checkpoint's answers and states, before anything is patched. */
export interface Asked {
  readonly model: Model;
  readonly plan: AskPlan;
  readonly problems: readonly MathsProblem[];
  readonly ids: Subject["ids"];
  readonly clean: Readonly<Record<Language, readonly Grading[]>>;
  /** The English answers' tokens. */
  readonly generated: readonly (readonly number[])[];
  readonly weights: WeightsPart;
  /** V_Z of any layer, and random subspaces; each is made once. */
  readonly z: Subspaces;
  readonly states: States;
}

export interface Subspaces {
  readonly basis: (layer: number, k: number) => Matrix;
  readonly random: (k: number, draw: number) => Matrix;
}

/** Asks all problems in both languages, and reads the streams of their prompts. */
export async function askAll(model: Model, problems: readonly MathsProblem[], plan: AskPlan): Promise<Asked> {
  const { seed, layers = [], k, foldGain, rowsPerCall, signal } = plan;
  const { randomSets } = phase3Document().rules;
  const [primary, secondary] = layers;
  const z = subspaces(model, plan);
  const source = { ...weightsOf(model, { foldGain }), basis: z.basis };
  const weights = readWeights(source, { primary, secondary, k, randomSets, seed });
  const ids = promptIds(model, problems, plan.format);
  const answers = problems.map(({ answer }) => answer);
  const [en, zh] = [await ask(model, ids.en, answers, plan), await ask(model, ids.zh, answers, plan)];
  const keep = new Map(scaledLayers(model.layers.length).map((layer) => [layer, plan.ardCount]));
  for (const layer of [weights.primary, weights.secondary]) keep.set(layer, problems.length);
  const states = await readStates(model, ids, { keep, rowsPerCall, signal });
  const clean = { en: en.graded, zh: zh.graded };
  return { model, plan, problems, ids, clean, generated: en.ids, weights, z, states };
}

/** Accuracy of each category in both languages, each answered in its own, against its most frequent answer. */
export function mathsGate({ problems, clean }: Pick<Asked, "problems" | "clean">): Gate {
  const kinds = [...new Set(problems.map(({ category }) => category))];
  return gate(
    kinds.map((kind): GateSamples => {
      const own = [...problems.keys()].filter((i) => problems[i].category === kind);
      const answers = own.map((i) => problems[i].answer);
      const most = Math.max(...answers.map((answer) => answers.filter((other) => other === answer).length));
      return {
        kind,
        correct: own.map((i) => LANGUAGES.every((language) => solvedIn(language, clean[language][i]))),
        blind: most / own.length,
        clusters: own.map((i) => problems[i].id),
      };
    }),
  );
}

export interface ReadPlan {
  /** Problems that are patched; all when left out. */
  readonly among?: readonly number[];
  /** Pairs were shuffled: what does not depend on them is not measured again. */
  readonly shuffled?: boolean;
  /** Fit the lengthscales as the document writes it, too. */
  readonly asWritten?: boolean;
  /** Measure what is drawn and no claim rests on, too. */
  readonly drawn?: boolean;
}

/** Everything that the study measures of a checkpoint. */
export async function readAll(asked: Asked, read: ReadPlan = {}): Promise<Measurements> {
  const { plan, problems, clean, weights, z, states } = asked;
  const { primary, secondary, sizes } = weights;
  const { randomSets } = phase3Document().rules;
  const options = { seed: plan.seed, onProgress: plan.onProgress, signal: plan.signal };
  const main = z.basis(primary, sizes.main);
  const random = Array.from({ length: randomSets }, (_, i) => z.random(sizes.main, i));
  const others = asked.model.layers.filter((l) => l !== primary).map((l) => z.basis(l, sizes.main));
  const clouds = (layer: number) => cloudsOf(states, layer, plan.ardCount, plan.seed);
  const names = problems.map(({ id }) => id);
  const solved = (language: Language): boolean[] => clean[language].map((own) => solvedIn(language, own));
  const planned = { layer: primary, k: sizes.main, randomSets };
  const alike: Untestable | undefined = read.shuffled
    ? { untestable: "it does not depend on which texts are paired" }
    : undefined;
  return {
    behaviour: alike ?? { solved: { en: solved("en"), zh: solved("zh") }, problems: names },
    weights: alike ?? weights,
    separation: readSeparation(states, { primary, secondary, sizes, ...z, randomSets, seed: plan.seed }),
    shifts: await shiftsOf(asked, planned, read),
    patches: read.shuffled
      ? { untestable: "a patch from another problem may change the answer rightly" }
      : await patchesOf(asked, planned, read),
    updates: alike ?? readUpdates(states, { z: main, random, others }, names),
    lengthscales: await readLengthscales(clouds(primary), {
      ...options,
      basis: main,
      random,
      asWritten: read.asWritten,
      layers: read.asWritten
        ? new Map(scaledLayers(asked.model.layers.length).map((l) => [l, clouds(l)]))
        : undefined,
    }),
    bridge: readBridge(states, primary, main, names),
  };
}

function subspaces(model: Model, { seed, foldGain }: AskPlan): Subspaces {
  const width = model.config.hidden_size;
  const known = new Map<string, Matrix>();
  return {
    basis: (layer, k) => {
      const found = known.get(`${layer} ${k}`) ?? zMask(attentionOf(model, layer, foldGain), k).basis;
      known.set(`${layer} ${k}`, found);
      return found;
    },
    random: (k, draw) => randomSubspace(k, width, 7919 * (seed + 1) + draw),
  };
}

/** Answers under the patches of a plan. */
export async function patchesOf(asked: Asked, plan: PatchPlan, { among }: ReadPlan): Promise<PatchesPart> {
  const own = among ?? [...asked.problems.keys()];
  return readPatches(await subjectAmong(asked, own), plan, {
    ...asked.plan,
    problems: own.map((i) => asked.problems[i].id),
    clean: own.map((i) => asked.clean.en[i]),
  });
}

/** Shifts under the patches of a plan, of the first problems whose answers can be read again. */
export async function shiftsOf(
  asked: Asked,
  plan: PatchPlan,
  { among, drawn = false }: ReadPlan,
): Promise<Measurements["shifts"]> {
  const { model, problems, generated } = asked;
  const words = new Map<number, readonly number[]>();
  const taken = new Set<string>();
  for (const i of among ?? problems.keys()) {
    if (words.size === asked.plan.shiftCount) break;
    if (taken.has(problems[i].id)) continue;
    const before = wordsBefore(model, generated[i], problems[i].answer);
    if (!before) continue;
    words.set(i, before);
    taken.add(problems[i].id);
  }
  const own = [...words.keys()];
  const { rowsPerCall, onProgress, signal } = asked.plan;
  return readShifts(await subjectAmong(asked, own), plan, {
    drawn,
    rowsPerCall,
    onProgress,
    signal,
    words: own.map((i) => words.get(i)),
    firstTokens: own.map((i) => firstTokenOf(model, problems[i].answer)),
  });
}

const firstTokenOf = (model: Model, answer: number): number =>
  model.tokenizer?.encode(String(answer), { add_special_tokens: false })[0] ?? 0;

/** Some of the problems, to be patched. */
export function subjectAmong(
  { model, plan, problems, ids, states }: Asked,
  own: readonly number[],
): Promise<Subject> {
  const pick = <T>(all: readonly T[]): T[] => own.map((i) => all[i]);
  const streams = (language: Language) =>
    new Map([...states[language].tokens].map(([layer, all]) => [layer, pick(all)]));
  return subjectOf(
    model,
    { en: pick(ids.en), zh: pick(ids.zh) },
    pick(problems).map(({ answer }) => answer),
    {
      layers: [],
      streams: { en: streams("en"), zh: streams("zh") },
      foldGain: plan.foldGain,
      seed: plan.seed,
    },
  );
}
