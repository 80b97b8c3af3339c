/** Runs the study on one of its checkpoints. */

import { ModalscopeError } from "../../errors.js";
import type { Model } from "../../model/index.js";
import {
  callback,
  checkOptions,
  integer,
  type OptionChecks,
  record,
  required,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { COUNT, MODEL } from "../../study-options.js";
import { PLANTED_COLOUR_NAMES, plantedCaptions, type VisualTask } from "../../tasks/index.js";
import type { Checkpoint, Study } from "../claims.js";
import { gate } from "../gate.js";
import type { Measured } from "../matrix.js";
import { withCheckpoint } from "../random-twin.js";
import type { EvolutionData } from "./data.js";
import { evolutionEvidence } from "./evidence.js";
import { type MadeKind, madeEvolution } from "./made.js";
import type { CaptionTask } from "./mentions.js";
import {
  type Described,
  describeAll,
  type ObserveOptions,
  observe,
  observeOtherImage,
  observeRandom,
} from "./observe.js";
import { evolutionRules } from "./rules.js";

export interface EvolutionSettings extends TaskOptions {
  readonly model: Model;
  readonly languageModel?: Model;
  /** Images to describe, other ones for each data seed. */
  readonly tasks: (seed: number) => readonly CaptionTask[];
  /** Tasks of one question each, for single-word answers. */
  readonly questions?: (seed: number) => readonly (readonly VisualTask[])[];
  readonly maxNewTokens: number;
  /** Images described at once. */
  readonly rowsPerCall: number;
  /** Images of the planted checkpoints. Default 240: half of them are hallucinated. */
  readonly plantedCount?: number;
}

/** One checkpoint's evidence, and the measurements that it was made from, for figures. */
export interface MeasuredEvolution extends Measured {
  readonly data: EvolutionData;
}

const EVOLUTION_SETTINGS: OptionChecks<EvolutionSettings> = {
  ...TASK_OPTIONS,
  model: MODEL,
  languageModel: record,
  tasks: required(callback, "images by seed, as captionTasks gives them"),
  questions: callback,
  maxNewTokens: COUNT,
  rowsPerCall: COUNT,
  plantedCount: integer(1),
};

/** Measures checkpoints of the study: captions and readings that several of them take are made once. */
export class EvolutionStudy {
  /** Of each checkpoint what its first data seed gave. */
  readonly found: Map<string, MeasuredEvolution> = new Map();
  private readonly described: Map<number, Promise<Described>> = new Map();

  constructor(
    private readonly study: Study,
    private readonly settings: EvolutionSettings,
  ) {
    checkOptions("EvolutionStudy", settings, EVOLUTION_SETTINGS);
  }

  /**
   * Everything that the study measures of a checkpoint with a data seed: what `claimsMatrix` asks for.
   * @throws ModalscopeError for a checkpoint that the study does not have
   */
  async measure({ id }: Pick<Checkpoint, "id">, seed: number): Promise<MeasuredEvolution> {
    const rules = evolutionRules();
    const data = await this.dataOf(id, seed);
    const measured = {
      data,
      evidence: evolutionEvidence(this.study, data, { rules, seed }),
      ...(data.gate.length > 0 ? { gate: gate(data.gate) } : {}),
    };
    if (!this.found.has(id)) this.found.set(id, measured);
    return measured;
  }

  private async dataOf(id: string, seed: number): Promise<EvolutionData> {
    const { plantedCount = 240 } = this.settings;
    const options = this.optionsOf(seed);
    switch (id) {
      case "model":
        return observe(await this.describedOf(seed), options);
      case "random":
        return observeRandom(await this.describedOf(seed), options);
      case "otherImage":
        return observeOtherImage(await this.describedOf(seed), options);
      case "prior":
      case "reversed":
        return observePlanted(id, plantedCount, {
          ...options,
          languageModel: undefined,
          questions: undefined,
          skips: plansFor(this.study, id),
        });
      case "likeDocument":
      case "opposite":
        return madeEvolution(id satisfies MadeKind, options.rules, seed);
      default:
        throw new ModalscopeError(`The study does not know the checkpoint "${id}".`);
    }
  }

  private optionsOf(seed: number): ObserveOptions {
    const { maxNewTokens, rowsPerCall, languageModel, questions, onProgress, signal } = this.settings;
    return {
      rules: evolutionRules(),
      maxNewTokens,
      rowsPerCall,
      seed,
      languageModel,
      questions: questions?.(seed),
      onProgress,
      signal,
    };
  }

  private describedOf(seed: number): Promise<Described> {
    const { model, tasks } = this.settings;
    const known = this.described.get(seed) ?? describeAll(model, tasks(seed), this.optionsOf(seed));
    this.described.set(seed, known);
    return known;
  }
}

/** Plans of skipped blocks, by the claim that rests on them. */
const SKIP_CLAIMS: Readonly<Record<string, string>> = { skip1: "skip.1", skip2: "skip.2", skip3: "skip.3" };

/** The plans whose claims a planted checkpoint is a case of. */
function plansFor({ claims }: Study, id: string): string[] {
  return claims.flatMap((claim) =>
    Object.hasOwn(SKIP_CLAIMS, claim.id) && claim.planted.has(id) ? [SKIP_CLAIMS[claim.id]] : [],
  );
}

function observePlanted(
  kind: "prior" | "reversed",
  count: number,
  options: ObserveOptions,
): Promise<EvolutionData> {
  const made = plantedCaptions(kind, options.seed);
  const association = Object.fromEntries(PLANTED_COLOUR_NAMES.map((name) => [name, []]));
  const tasks = made.images(count, options.seed).map((task) => ({
    ...task,
    prompt: made.prompt,
    truth: { objects: task.annotation, words: { association }, things: [] },
  }));
  const own = { ...options, maxNewTokens: 8 };
  return withCheckpoint(made, async (model) => observe(await describeAll(model, tasks, own), own), kind);
}
