/** Runs the study on one of its checkpoints. */

import { ModalscopeError } from "../../errors.js";
import type { Model } from "../../model/index.js";
import type { TaskOptions } from "../../progress.js";
import { PLANTED_COLOUR_NAMES, plantedCaptions, type VisualTask } from "../../tasks/index.js";
import type { Checkpoint, Study } from "../claims.js";
import { gate } from "../gate.js";
import type { Measured } from "../matrix.js";
import { withCheckpoint } from "../random-twin.js";
import type { EvolutionData } from "./data.js";
import { evolutionEvidence } from "./evidence.js";
import { type MadeKind, madeEvolution } from "./made.js";
import type { CaptionTask } from "./mentions.js";
import { type ObserveOptions, observe, observeOtherImage, observeRandom } from "./observe.js";
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

/**
 * Everything that the study measures of a checkpoint with a data seed: what `claimsMatrix` asks for.
 * @throws ModalscopeError for a checkpoint that the study does not have
 */
export async function measureEvolution(
  study: Study,
  checkpoint: Pick<Checkpoint, "id">,
  seed: number,
  settings: EvolutionSettings,
): Promise<MeasuredEvolution> {
  const rules = evolutionRules();
  const data = await dataOf(checkpoint.id, seed, settings);
  return {
    data,
    evidence: evolutionEvidence(study, data, { rules, seed }),
    ...(data.gate.length > 0 ? { gate: gate(data.gate) } : {}),
  };
}

function dataOf(id: string, seed: number, settings: EvolutionSettings): Promise<EvolutionData> {
  const { model, languageModel, maxNewTokens, rowsPerCall, onProgress, signal } = settings;
  const rules = evolutionRules();
  const options = { rules, maxNewTokens, rowsPerCall, seed, onProgress, signal };
  switch (id) {
    case "model":
      return observe(model, settings.tasks(seed), {
        ...options,
        languageModel,
        questions: settings.questions?.(seed),
      });
    case "random":
      return observeRandom(model, settings.tasks(seed), options);
    case "otherImage":
      return observeOtherImage(model, settings.tasks(seed), options);
    case "prior":
    case "reversed":
      return observePlanted(id, settings.plantedCount ?? 240, options);
    case "likeDocument":
    case "opposite":
      return Promise.resolve(madeEvolution(id satisfies MadeKind, rules, seed));
    default:
      throw new ModalscopeError(`The study does not know the checkpoint "${id}".`);
  }
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
  return withCheckpoint(made, (model) => observe(model, tasks, { ...options, maxNewTokens: 8 }), kind);
}
