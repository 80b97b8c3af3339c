/** The study on each of its checkpoints: opened, asked, measured part by part. */
import { ModalscopeError } from "../../errors.js";
import type { Model } from "../../model/index.js";
import {
  callback,
  checkOptions,
  integer,
  listOf,
  type OptionChecks,
  oneOf,
  record,
  required,
} from "../../options.js";
import type { Progress } from "../../progress.js";
import { COUNT, LAYERS, MODEL, STUDY } from "../../study-options.js";
import { type PlantedVisionKind, plantedVision } from "../../tasks/index.js";
import {
  type Checkpoint,
  type Gate,
  gate,
  type Measured,
  type Study,
  type Untestable,
  withCheckpoint,
  withRandomTwin,
} from "../index.js";
import { nearestBlock } from "./depths.js";
import { meanOver } from "./drawing.js";
import { gapEvidence, partOf } from "./evidence.js";
import { gapMadeByHand, type MadeByHand } from "./made-by-hand.js";
import {
  measurePruning,
  measureSilencing,
  measureTracing,
  measureTruncation,
  measureTwins,
  rightAnswers,
} from "./measure-answers.js";
import { measureFlow, measureGeometry, measureProbes, measureRouting } from "./measure-states.js";
import { type Measurements, PART_NAMES, type PartName, type Parts, type Truncation } from "./parts.js";
import { kindOf, plantedQuestions, type QuestionSource } from "./questions.js";
import { onlyAShare, wholly } from "./shares.js";
import { noStore, prefixed, type Store, unshared } from "./store.js";
import {
  blindTasks,
  checkModel,
  type GapSample,
  type Subject,
  samplesOf,
  someOf,
  tasksOf,
} from "./subject.js";

/** How many questions each experiment takes. */
export interface GapSizes {
  /** Questions of each grade whose answers are counted: rates take 100 in all. */
  readonly samples: number;
  /** Questions for causal tracing; images and questions for geometry, attention and routing. */
  readonly tracing: number;
  readonly states: number;
  readonly probes: number;
  /** Questions of each grade that means are taken over. */
  readonly heldOut: number;
  /** Questions of each kind in the gate, and in the first look before it. */
  readonly gate: number;
  readonly firstLook: number;
}

export interface GapOptions {
  readonly study: Study;
  readonly model: Model;
  readonly questions: QuestionSource;
  readonly sizes: GapSizes;
  /** Parts to measure on the model; all unless given. */
  readonly parts?: readonly PartName[];
  /** Blocks to truncate at; those of the document unless given. */
  readonly layers?: readonly number[];
  readonly rowsPerCall?: number;
  readonly store?: Store;
  readonly onProgress?: Progress;
}

export interface GapStudy {
  /** Kinds of question and what the model can do; the study asks those that pass. */
  readonly gate: Gate;
  /**
   * Measures a checkpoint with one data seed; for `claimsMatrix`.
   * @param onProgress in the place of the study's own
   */
  measure(checkpoint: Checkpoint, seed: number, onProgress?: Progress): Promise<Measured>;
  /** Measurements on the model with a data seed; made now where there are none. */
  measurements(seed: number): Promise<Measurements>;
  /** The model's questions with a data seed, for experiments beside the study's. */
  subject(seed: number): Promise<Subject>;
}

/** Where the planted checkpoints decide: a block of as many as the document's windows need. */
const PLANTED = { blocks: 12, window: 9 } as const;
const IN_WINDOW: readonly PlantedVisionKind[] = ["late", "routing", "sink", "lateText", "earlyText"];

const HAND: readonly string[] = ["likeDocument", "opposite"] satisfies MadeByHand[];

const SIZES: OptionChecks<GapSizes> = {
  samples: COUNT,
  tracing: COUNT,
  states: COUNT,
  probes: COUNT,
  heldOut: COUNT,
  gate: COUNT,
  firstLook: COUNT,
};
const GAP_OPTIONS: OptionChecks<GapOptions> = {
  study: STUDY,
  model: MODEL,
  questions: required(record, "questions, as questionsFor gives them"),
  sizes: required(record, "sizes, as gapSizes gives them"),
  parts: listOf(oneOf(...PART_NAMES), 1),
  layers: LAYERS,
  rowsPerCall: integer(1),
  store: record,
  onProgress: callback,
};

/**
 * Opens the study of a model: what it can do is measured first.
 * @throws ModalscopeError for a model without images, and where there are too few questions.
 */
export async function openGapStudy(options: GapOptions): Promise<GapStudy> {
  checkOptions("openGapStudy", options, GAP_OPTIONS);
  checkOptions("The sizes of openGapStudy", options.sizes, SIZES);
  const { model, questions, sizes, rowsPerCall = 128, store = noStore, onProgress } = options;
  checkModel(model);
  const calls = { rowsPerCall, store };
  onProgress?.(0, 1, "gate");
  const phase0 = await kindGate({ model, ...calls }, questions, sizes);
  onProgress?.(1, 1, "gate");
  const passed = phase0.passed;
  const subjectOf = async (seed: number, from = questions, opened = model, own = store): Promise<Subject> => {
    const draw = (purpose: "study" | "held out", count: number): Promise<GapSample[]> =>
      from.draw({ seed, purpose, count, kinds: passed });
    const samples = await draw("study", sizes.samples);
    checkSamples(samples);
    return {
      model: opened,
      samples,
      heldOut: await draw("held out", sizes.heldOut),
      probes: await from.probes(seed, sizes.probes),
      rowsPerCall,
      store: own,
    };
  };
  const made = new Map<number, Found>();
  const ofModel = async (seed: number, told: GapOptions): Promise<Found> => {
    const known = made.get(seed);
    if (known) return known;
    const subject = await subjectOf(seed, questions, model, prefixed(store, `model-${seed}`));
    const found = await measureParts(subject, seed, told, options.parts ?? PART_NAMES);
    made.set(seed, found);
    return found;
  };
  return {
    gate: phase0,
    measurements: async (seed) => (await ofModel(seed, options)).measurements,
    subject: (seed) => subjectOf(seed, questions, model, unshared(store)),
    async measure(checkpoint, seed, onProgress = options.onProgress) {
      const told = { ...options, onProgress };
      const judged = ({ measurements }: Found): Measured => ({
        evidence: gapEvidence(options.study, measurements),
        ...gateOf(measurements.truncation),
      });
      if (checkpoint.role === "model") {
        const found = await ofModel(seed, told);
        const own = prefixed(unshared(store), `model-${seed}`);
        const gate = found.answers
          ? gateOfGrades(found.answers)
          : await gateOfAnswers(await subjectOf(seed, questions, model, own));
        return { ...judged(found), gate };
      }
      if (HAND.includes(checkpoint.id))
        return { evidence: gapEvidence(options.study, gapMadeByHand(checkpoint.id as MadeByHand, seed)) };
      const own = prefixed(store, `${checkpoint.id}-${seed}`);
      const parts = partsFor(options.study, checkpoint);
      if (checkpoint.id === "otherImage")
        return judged(
          await measureParts(
            withOtherImages(await subjectOf(seed, questions, model, own)),
            seed,
            told,
            parts,
          ),
        );
      if (checkpoint.id === "random")
        return judged(
          await withRandomTwin(model, seed, async (random) =>
            measureParts(await subjectOf(seed, questions, random, own), seed, told, parts),
          ),
        );
      const kind = checkpoint.id as PlantedVisionKind;
      return judged(
        await onPlanted(kind, seed, async (planted) =>
          measureParts(await subjectOf(seed, plantedQuestions(kind), planted, own), seed, told, parts),
        ),
      );
    },
  };
}

function checkSamples(samples: readonly GapSample[]): void {
  if (samples.length >= 8) return;
  throw new ModalscopeError(
    `The study got ${samples.length} questions.`,
    "With fewer than 8 nothing can be drawn with replacement or compared.",
    "Raise `samples`, or give a data folder with more questions.",
  );
}

/**
 * Accuracy of each kind of question with and without its image. Kinds that are answered at all in a first look are measured, on
 * other questions: of each grade those of which half are right, or the best two.
 */
async function kindGate(
  subject: Pick<Subject, "model" | "rowsPerCall" | "store">,
  questions: QuestionSource,
  sizes: GapSizes,
): Promise<Gate> {
  const look = await ofEachKind(questions, 0, sizes.firstLook);
  const right = await rightAnswers(subject, "gate-look", tasksOf(look));
  const kinds = new Set(
    (["easy", "hard"] as const).flatMap((grade) => {
      const own = look.flatMap(({ task, grade: g }, i) =>
        g === grade ? [{ kind: kindOf(task), right: right[i] }] : [],
      );
      const shares = [...new Set(own.map(({ kind }) => kind))]
        .map((kind) => ({ kind, share: meanOver(own.filter((o) => o.kind === kind).map((o) => o.right)) }))
        .sort((a, b) => b.share - a.share);
      return shares.filter(({ share }, i) => i < 2 || share >= 0.5).map(({ kind }) => kind);
    }),
  );
  const samples = await ofEachKind(questions, 1, sizes.gate, kinds);
  const correct = await rightAnswers(subject, "gate", tasksOf(samples));
  const blind = await rightAnswers(subject, "gate-blind", blindTasks(samples));
  return gate(
    [...new Set(samples.map(({ task }) => kindOf(task)))].map((kind) => {
      const own = samples.flatMap(({ task }, i) => (kindOf(task) === kind ? [i] : []));
      return { kind, correct: own.map((i) => correct[i] === 1), blind: own.map((i) => blind[i] === 1) };
    }),
  );
}

/** About so many questions of each kind. */
function ofEachKind(
  questions: QuestionSource,
  seed: number,
  each: number,
  kinds?: ReadonlySet<string>,
): Promise<GapSample[]> {
  const counts = questions.kindCounts(kinds);
  return questions.draw({ seed, purpose: "gate", count: each * Math.max(counts.easy, counts.hard), kinds });
}

/** The gate of the study's own questions, where truncation has their answers. */
function gateOf(truncation: Truncation | Untestable): { readonly gate?: Gate } {
  return "untestable" in truncation ? {} : { gate: gateOfGrades(truncation) };
}

/** The gate of the study's own questions, asked for it where no part has their answers. */
async function gateOfAnswers(subject: Subject): Promise<Gate> {
  const { samples } = subject;
  const right = await rightAnswers(subject, "answers", tasksOf(samples));
  const blind = await rightAnswers(subject, "blind", blindTasks(samples));
  return gateOfGrades({ ...samplesOf(samples), right, blind });
}

/** Questions by grade, against the same without their images. */
function gateOfGrades({ grades, right, blind, clusters }: Answers): Gate {
  return gate(
    (["easy", "hard"] as const).map((kind) => {
      const own = grades.flatMap((grade, i) => (grade === kind ? [i] : []));
      const flags = (values: readonly number[]): boolean[] => own.map((i) => values[i] === 1);
      // A grade without questions is not passed.
      return own.length === 0
        ? { kind, correct: [false], blind: 1 }
        : { kind, correct: flags(right), blind: flags(blind), clusters: own.map((i) => clusters[i]) };
    }),
  );
}

/** Parts of which a checkpoint is a case: of a null all, of a planted one those that it was built for. */
function partsFor({ claims }: Study, { id, role }: Checkpoint): PartName[] {
  if (id === "otherImage") return PART_NAMES.filter((name) => !IMAGE_ALONE.includes(name));
  if (role === "null") return [...PART_NAMES];
  return [...new Set(claims.filter(({ planted }) => planted.has(id)).map((claim) => partOf(claim.id)))];
}

/** Measured on what an image is, whether or not it is the question's: another image is no null of these. */
const IMAGE_ALONE: readonly PartName[] = ["geometry", "flow", "routing"];

/** Answers with and without the image, without edits. */
type Answers = Pick<Truncation, "grades" | "right" | "blind" | "clusters">;

/** Measurements, with the questions' answers where a part asked for them: of a share of its points too these are all. */
interface Found {
  readonly measurements: Measurements;
  readonly answers?: Answers;
}

type Measure = { readonly [P in PartName]: () => Promise<Parts[P] | Untestable> };

async function measureParts(
  subject: Subject,
  seed: number,
  { sizes, layers, onProgress, parts: asked = PART_NAMES }: GapOptions,
  parts: readonly PartName[],
): Promise<Found> {
  const { model } = subject;
  const few = (most: number): Subject => ({ ...subject, samples: someOf(subject.samples, most) });
  const kept = <T>(name: PartName, make: () => Promise<T>): Promise<T | Untestable> =>
    wholly(subject.store, name, PART_NAMES.indexOf(name), make);
  const swept = async <T>(make: () => Promise<T>): Promise<T | Untestable> => {
    const found = await make();
    return onlyAShare(subject.store) ?? found;
  };
  let truncated: Promise<Truncation> | undefined;
  const needsZero = parts.includes("truncation");
  const truncation = (): Promise<Truncation> => {
    truncated ??= measureTruncation(subject, { kinds: needsZero ? ["mean", "zero"] : ["mean"], layers });
    return truncated;
  };
  const experts = model.hooks.some((hook) => hook.endsWith("mlp.hook_router_logits"));
  const withExperts = <T>(make: () => Promise<T | Untestable>): Promise<T | Untestable> =>
    experts ? make() : Promise.resolve({ untestable: "not applicable: this model has no experts" });
  const measure: Measure = {
    tracing: () => swept(() => measureTracing(few(sizes.tracing))),
    truncation: () => swept(truncation),
    geometry: () => kept("geometry", () => measureGeometry(few(sizes.states), { seed })),
    flow: () => kept("flow", () => measureFlow(few(sizes.states))),
    probes: () => kept("probes", () => measureProbes(subject, seed)),
    routing: () => withExperts(() => kept("routing", () => measureRouting(few(sizes.states), seed))),
    silencing: () =>
      withExperts(() => swept(async () => measureSilencing(subject, (await truncation()).blind))),
    twins: async () => {
      const { by, blind } = await truncation();
      const { mean } = by;
      return mean
        ? swept(() => measureTwins(subject, { image: mean, blind }))
        : { untestable: "not truncated by mean" };
    },
    pruning: async () => {
      const { mean } = (await truncation()).by;
      const column = mean?.layers.indexOf(nearestBlock(24, model.layers.length)) ?? -1;
      if (!mean || column < 0) return { untestable: "not truncated at half of the depth" };
      return swept(() => measurePruning(subject, { halfTruncated: mean.right.map((row) => row[column]) }));
    },
  };
  const found: Partial<Record<PartName, unknown>> = {};
  for (const [i, name] of PART_NAMES.entries()) {
    onProgress?.(i, PART_NAMES.length, name);
    found[name] =
      parts.includes(name) && asked.includes(name) ? await measure[name]() : notMeasured(name, asked);
  }
  onProgress?.(PART_NAMES.length, PART_NAMES.length, "all parts");
  return { measurements: found as Measurements, answers: await truncated };
}

function notMeasured(name: PartName, asked: readonly PartName[]): Untestable {
  return asked.includes(name)
    ? { untestable: `${name} says nothing of this checkpoint` }
    : { untestable: `the part "${name}" was left out` };
}

/** Every question with the next one's image. */
function withOtherImages(subject: Subject): Subject {
  const moved = <T extends GapSample>(samples: readonly T[]): T[] =>
    samples.map((own, i) => ({
      ...own,
      task: { ...own.task, images: samples[(i + 1) % samples.length].task.images },
      twin: own.twin && {
        ...own.twin,
        textDescription: samples[(i + 1) % samples.length].twin?.textDescription,
      },
    }));
  const { probes } = subject;
  return {
    ...subject,
    samples: moved(subject.samples),
    probes: probes.map((own, i) => ({ ...own, label: probes[(7 * i + 3) % probes.length].label })),
  };
}

/** Opens a planted checkpoint as the study has it, for as long as `use` takes. */
export function onPlanted<T>(
  kind: PlantedVisionKind,
  seed: number,
  use: (model: Model) => Promise<T>,
): Promise<T> {
  const decides = IN_WINDOW.includes(kind) ? PLANTED.window : undefined;
  const made = plantedVision(kind, { layers: PLANTED.blocks, decides, seed });
  return withCheckpoint(made, use);
}
