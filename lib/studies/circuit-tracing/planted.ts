/** Checkpoints whose answer comes through two neurons, or past them, in the place of the model. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readTranscoders, type TranscoderSet } from "../../circuits/index.js";
import { type Model, writeSafetensors } from "../../model/index.js";
import { checkOptions, record, required } from "../../options.js";
import { seeded } from "../../random.js";
import { COUNT } from "../../study-options.js";
import { type PlantedCircuit, type PlantedCircuitKind, plantedCircuit } from "../../tasks/index.js";
import { withCheckpoint } from "../index.js";
import { type Activity, conceptFeatures, type MatchedFeatures, matchedFeatures } from "./activity.js";
import { randomArms } from "./arms.js";
import type { Patch, RandomArms } from "./measurements.js";
import { patchArms } from "./patch.js";
import { activityIn, type Columns, runForFeatures, runsFrom, streamBefore } from "./runs.js";
import type { Settings, Subject } from "./subject.js";
import { suppression } from "./values.js";

/** What can be measured on a planted circuit: an effect's logit without the cause's neurons, and patched answers. */
export interface PlantedArms {
  readonly fall: RandomArms;
  readonly patch: Patch;
}

/** Tokens that mean nothing. */
const FILLERS = [1, 2, 3, 5, 6, 7, 8];

/** Runs the study's interventions on a planted circuit. */
export function measurePlanted(
  kind: PlantedCircuitKind,
  seed: number,
  options: { readonly settings: Settings; readonly samples: number },
): Promise<PlantedArms> {
  checkOptions("measurePlanted", options, {
    settings: required(record, "settings, as the study's data hold them"),
    samples: COUNT,
  });
  const { settings, samples } = options;
  const made = plantedCircuit(kind, seed);
  return withCheckpoint({ config: made.config, weights: made.weights, files: {} }, async (model) => {
    const set = openTranscoders(made, model);
    try {
      const fixed = { imageSize: 0, rowsPerCall: samples, exchanged: false };
      return await measureArms({ model, set, seed, samples, settings, ...fixed }, made);
    } finally {
      set.close();
    }
  });
}

/** Its neurons as transcoders, written beside the checkpoint and read from there. */
export function openTranscoders(
  { transcoders }: Pick<PlantedCircuit, "transcoders">,
  model: Model,
): TranscoderSet {
  const folder = join(model.path, "transcoders");
  mkdirSync(folder);
  const names = { feature_input_hook: "mlp.hook_in", feature_output_hook: "mlp.hook_out" };
  writeFileSync(
    join(folder, "config.yaml"),
    JSON.stringify({ model_name: "planted", model_kind: "transcoder_set", ...names }),
  );
  for (const [l, layer] of transcoders.entries())
    writeSafetensors(join(folder, `layer_${l}.safetensors`), { ...layer });
  return readTranscoders(folder, { model });
}

async function measureArms(subject: Subject, made: PlantedCircuit): Promise<PlantedArms> {
  const { model, set, samples } = subject;
  const random = seeded(subject.seed);
  const cause = made.prompt[made.at];
  const prompts = Array.from({ length: samples }, () =>
    made.prompt.map((token, i) => (i === made.prompt.length - 1 ? token : random.pick(FILLERS))),
  );
  const withCause = model.batch(prompts.map((own) => own.map((token, i) => (i === made.at ? cause : token))));
  const both = model.batch([...prompts, ...rowsOf(withCause)]);
  const everywhere: Columns = ({ tokenPositions }) => tokenPositions;
  const activity = await activityIn(subject, await runForFeatures(subject, both), everywhere);
  const matched = matchedOf(subject, activity, samples);
  const effectOf = (row: Float32Array): number =>
    row[made.effect] - row.reduce((sum, v) => sum + v, 0) / row.length;
  const start = streamBefore(0);
  const { cache } = await model.run(withCause, { capture: [start], stopAtLayer: 1, logits: "none" });
  const runUnder = runsFrom(subject, withCause, 0, cache.get(start));
  const clean = (await runUnder({})).map(effectOf);
  const columns = prompts.map((own) => own.map((_, column) => column));
  const fall = await randomArms(subject.settings.randomSets, async (pick) => {
    const features = prompts.map(() => pick(matched).set);
    const rows = await runUnder(suppression(set, withCause, features, columns));
    return rows.map((row, i) => clean[i] - effectOf(row));
  });
  const patch = await patchArms(subject, {
    batch: both,
    layers: model.layers,
    donors: [...prompts.map((_, i) => samples + i), ...prompts.map((_, i) => samples + i)],
    columns: [...columns, ...columns].map((own) => own.slice(made.at)),
    concepts: [...prompts.map(() => [matched]), ...prompts.map(() => [])],
    turned: (_, logits) => logits.indexOf(Math.max(...logits)) === made.effect,
  });
  return { fall, patch };
}

const rowsOf = ({ inputIds, size, seqLength }: ReturnType<Model["batch"]>): number[][] =>
  Array.from({ length: size }, (_, row) =>
    Array.from(inputIds.subarray(row * seqLength, (row + 1) * seqLength)),
  );

/** One feature of each block, by what the cause activates. */
function matchedOf(subject: Subject, activity: Activity, samples: number): MatchedFeatures {
  const { layers } = subject.model;
  const side = Array.from({ length: 2 * samples }, (_, i) => i >= samples);
  const chosen = layers.flatMap((layer) => conceptFeatures(activity, side, { layers: [layer], count: 1 }));
  return matchedFeatures(activity, chosen, { layers, subject, rows: 2 * samples });
}
