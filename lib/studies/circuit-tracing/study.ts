/** The study's runs: what `claimsMatrix` asks for, measured once and kept for figures. */
import type { TranscoderSet } from "../../circuits/index.js";
import type { Model } from "../../model/index.js";
import { checkOptions, type OptionChecks, record, required, TASK_OPTIONS } from "../../options.js";
import type { Progress, TaskOptions } from "../../progress.js";
import { COUNT, MODEL, STUDY } from "../../study-options.js";
import { animals, hands, planets, type SyntheticTask, sums } from "../../tasks/index.js";
import {
  type Checkpoint,
  type Claim,
  type Gate,
  type GateSamples,
  gate,
  loadStudy,
  type Measured,
  type Study,
  type Untestable,
  withRandomTwin,
} from "../index.js";
import { measureNeighbours } from "./animals.js";
import { measureConvergence } from "./convergence.js";
import { measureCounting } from "./counting.js";
import { DrawnTasks } from "./drawn-tasks.js";
import { circuitEvidence, embeddedEvidence, partsFor } from "./evidence.js";
import { circuitsMadeByHand, type MadeByHand } from "./made-by-hand.js";
import type { Measurements } from "./measurements.js";
import { measureNeurons } from "./neurons.js";
import { measureAssociations, measurePatch } from "./planets.js";
import { measurePlanted } from "./planted.js";
import { measurePlantedCounting } from "./planted-counting.js";
import { answers, blindLogits, lastLogits } from "./runs.js";
import { checkSubject, drawFor, nullsFor, type Settings, type Subject } from "./subject.js";
import { measureArithmetic } from "./sums.js";
import { compareSets, measureTraining } from "./training.js";

export interface CircuitStudyOptions extends TaskOptions {
  readonly study: Study;
  readonly model: Model;
  readonly set: TranscoderSet;
  /** Transcoders of the same model that were trained on text alone, for comparison. */
  readonly textSet?: TranscoderSet;
  /** Side of drawn images in pixels. */
  readonly imageSize: number;
  /** Images of each kind; rates take 100. */
  readonly samples: number;
  readonly rowsPerCall: number;
}

type PartName = Exclude<keyof Measurements, "embedded" | "abilities">;

const CIRCUIT_STUDY_OPTIONS: OptionChecks<CircuitStudyOptions> = {
  ...TASK_OPTIONS,
  study: STUDY,
  model: MODEL,
  set: required(record, "transcoders, as readTranscoders gives them"),
  textSet: record,
  imageSize: COUNT,
  samples: COUNT,
  rowsPerCall: COUNT,
};

/** Measures checkpoints of the study. */
export class CircuitStudy {
  /** What was found on the model, by data seed. */
  readonly found: Map<number, Measurements> = new Map();
  readonly settings: Settings = loadStudy<{ settings: Settings }>("circuit-tracing").settings;
  private readonly abilities: GateSamples[] = [];
  private readonly drawn = new DrawnTasks();

  /** @throws ModalscopeError for a model without images, and transcoders that do not fit */
  constructor(private readonly options: CircuitStudyOptions) {
    checkOptions("CircuitStudy", options, CIRCUIT_STUDY_OPTIONS);
    checkSubject(options.model, options.set);
  }

  /** The model and its transcoders with a data seed. */
  subject(seed: number): Subject {
    const { model, set, imageSize, samples, rowsPerCall } = this.options;
    const { settings, drawn } = this;
    return { model, set, imageSize, samples, rowsPerCall, seed, settings, drawn, exchanged: false };
  }

  /** Kinds of task that the model does. */
  async gate(): Promise<Gate> {
    if (this.abilities.length === 0) this.abilities.push(...(await abilitiesOf(this.subject(0))));
    return gate(this.abilities);
  }

  /**
   * Evidence on one checkpoint with one data seed.
   * @param onProgress in the place of the study's own
   */
  async measure(
    checkpoint: Checkpoint,
    seed: number,
    onProgress: Progress | undefined = this.options.onProgress,
  ): Promise<Measured> {
    const { study, set, textSet } = this.options;
    const { id, role } = checkpoint;
    if (role !== "model") {
      const evidence = circuitEvidence(study, await this.measureOther(id, seed, onProgress));
      return { evidence: onlyOf(study, id, evidence) };
    }
    const subject = this.subject(seed);
    const measured = {
      ...(await this.measureParts(subject, { onProgress })),
      ...(set.kind === "per-layer" &&
        textSet?.kind === "per-layer" && { embedded: await compareSets(subject, textSet) }),
    };
    this.found.set(seed, measured);
    const embedded = embeddedEvidence(study, measured);
    return {
      evidence: circuitEvidence(study, measured),
      gate: await this.gate(),
      ...(textSet && { configurations: { "embedded sets": embedded } }),
    };
  }

  private async measureOther(
    id: string,
    seed: number,
    onProgress: Progress | undefined,
  ): Promise<Measurements> {
    const { model, study, samples } = this.options;
    const own = this.subject(seed);
    const asked = { only: partsFor(study, id), onProgress };
    if (id === "circuit" || id === "noCircuit") return circuitsMadeByHand(id satisfies MadeByHand, seed);
    if (id === "twoNeurons" || id === "pastThem") {
      const kind = id === "twoNeurons" ? "two neurons" : "past them";
      const { fall, patch } = await measurePlanted(kind, seed, { settings: this.settings, samples });
      const counting = {
        ...circuitsMadeByHand("noCircuit", seed).counting,
        fall,
      } as Measurements["counting"];
      return { ...NOT_MEASURED, patch, counting };
    }
    if (id === "handPrior" || id === "handCounted") {
      const kind = id === "handPrior" ? "prior" : "counted";
      const counting = await measurePlantedCounting(kind, seed, { settings: this.settings, samples });
      return { ...NOT_MEASURED, counting };
    }
    if (id === "otherImage") return this.measureParts({ ...own, exchanged: true }, asked);
    const withRandom = async (subject: Subject): Promise<Measurements> => {
      const set = await nullsFor(subject);
      try {
        return await this.measureParts({ ...subject, set }, asked);
      } finally {
        set.close();
      }
    };
    if (id === "randomTranscoders") return withRandom(own);
    return withRandomTwin(model, seed, (twin) => withRandom({ ...own, model: twin }));
  }

  /** The parts that are asked for, one after the other. */
  private async measureParts(
    subject: Subject,
    {
      only,
      onProgress,
    }: { readonly only?: ReadonlySet<keyof Measurements>; readonly onProgress: Progress | undefined },
  ): Promise<Measurements> {
    const { signal } = this.options;
    const found: Partial<Record<PartName, unknown>> = {};
    const names = Object.keys(MEASURE) as PartName[];
    for (const [i, name] of names.entries()) {
      signal?.throwIfAborted();
      onProgress?.(i, names.length, name);
      found[name] = !only || only.has(name) ? await MEASURE[name](subject) : NOT_ASKED;
    }
    onProgress?.(names.length, names.length, "measured");
    return found as unknown as Measurements;
  }
}

/** Evidence for the claims that name a checkpoint: the others do not depend on what it differs in. */
function onlyOf({ claims }: Study, id: string, evidence: Measured["evidence"]): Measured["evidence"] {
  const named = ({ nulls, planted }: Claim): boolean => nulls.includes(id) || planted.has(id);
  return Object.fromEntries(claims.map((claim) => [claim.id, named(claim) ? evidence[claim.id] : NOT_ASKED]));
}

const NOT_ASKED: Untestable = { untestable: "this checkpoint is no case of it" };

const MEASURE: { readonly [P in PartName]: (subject: Subject) => Promise<Measurements[P]> } = {
  neurons: measureNeurons,
  training: measureTraining,
  associations: measureAssociations,
  patch: measurePatch,
  neighbours: measureNeighbours,
  arithmetic: measureArithmetic,
  counting: measureCounting,
  convergence: measureConvergence,
};

const NOT_MEASURED = Object.fromEntries(
  Object.keys(MEASURE).map((name) => [name, NOT_ASKED]),
) as unknown as Measurements;

/** Right answers with and without the image, by kind of task. */
async function abilitiesOf(subject: Subject): Promise<GateSamples[]> {
  const kinds: GateSamples[] = [];
  const add = async <Scene>(
    kind: string,
    synthetic: SyntheticTask<Scene>,
    types: readonly string[],
  ): Promise<void> => {
    const tasks = drawFor({ ...subject, seed: subject.seed + 50 }, synthetic, {
      types,
      count: subject.samples,
      split: "heldout",
    });
    const right = (rows: readonly Float32Array[]): boolean[] =>
      rows.map((row, i) => answers(subject, row, tasks[i].answers[0]));
    kinds.push({
      kind,
      correct: right(await lastLogits(subject, tasks)),
      blind: right(await blindLogits(subject, tasks)),
    });
  };
  await add("planets", planets, ["name"]);
  await add("animals", animals, ["name"]);
  await add("sums", sums, ["plus", "minus", "times", "divided"]);
  await add("counting", hands, ["apples", "dots", "stripes"]);
  await add("fingers", hands, ["fingers"]);
  return kinds;
}
