/** One image's answer with features suppressed, boosted, clamped and patched while it is generated. */
import { encodeFeatures, type FeatureEdit, featureEdits } from "../../circuits/index.js";
import type { Edits } from "../../model/index.js";
import type { Rows } from "../../plot/index.js";
import { asMessage, planets, type VisualTask } from "../../tasks/index.js";
import { conceptFeatures, type Feature } from "./activity.js";
import { lookup } from "./patch.js";
import { activityOf, imageColumns } from "./runs.js";
import { drawFor, forSamples, layersBetween, type Subject } from "./subject.js";
import { FeatureValues, suppression } from "./values.js";

const DISCOVERY = 160;
const LEAST_DISCOVERY = 48;
const NEW_TOKENS = 8;
const BOOST = 5;

/** What is generated for a planet's image under each intervention on its features, or with another planet's. */
export async function steeringRows(
  subject: Subject,
  [own, other]: readonly [VisualTask, VisualTask],
): Promise<Rows> {
  const { model, set, settings } = subject;
  const layers = layersBetween(model, ...settings.middle);
  const seen = drawFor(subject, planets, {
    types: ["name"],
    count: forSamples(subject, DISCOVERY, LEAST_DISCOVERY),
    split: "train",
  });
  const activity = await activityOf(subject, seen, imageColumns);
  const featuresOf = (task: VisualTask, all: readonly number[]): Feature[] => {
    const side = seen.map(({ answers: [name] }) => name === task.answers[0]);
    return conceptFeatures(activity, side, { layers: all, count: settings.features });
  };
  const both = await model.prepare([own, other].map((task) => [asMessage(task)]));
  const batch = await model.prepare([[asMessage(own)]]);
  const recorded = lookup(await encodeFeatures(model, both, set));
  const [mine, theirs] = [featuresOf(own, layers), featuresOf(other, layers)];
  const columns = batch.visual[0];
  const shift = both.visual[0][0] - columns[0];
  const patched = (features: readonly Feature[], at: readonly number[]): Edits => {
    const values = new FeatureValues(set, batch);
    for (const feature of features)
      values.enter(0, feature, at, (column) => recorded(1, column + shift, feature));
    return values.edits;
  };
  const scaled = (features: readonly Feature[], scale: number): Edits =>
    featureEdits(
      set,
      features.map((one): FeatureEdit => ({ ...one, scale, positions: columns })),
    );
  const mean = (feature: Feature): number =>
    columns.reduce((sum, column) => sum + recorded(1, column + shift, feature), 0) / columns.length;
  const clamped = featureEdits(
    set,
    theirs.map((one): FeatureEdit => ({ ...one, set: mean(one), positions: columns })),
  );
  const all = (of: readonly number[]): Feature[] =>
    of.flatMap((layer) =>
      Array.from({ length: set.layers[layer].features }, (_, feature) => ({ layer, feature })),
    );
  const later = batch.tokenPositions[0].filter((column) => column >= columns[0]);
  const [name, another] = [own.answers[0], other.answers[0]];
  const arms: readonly (readonly [string, Edits])[] = [
    ["nothing", {}],
    [`${name}'s features suppressed`, suppression(set, batch, [mine], [columns])],
    [`${name}'s features ${BOOST} times as active`, scaled(mine, BOOST)],
    [`${another}'s features clamped to their mean on its image`, clamped],
    [
      `${name}'s and ${another}'s features patched from its image`,
      patched(
        [
          ...mine,
          ...theirs.filter((one) => !mine.some((m) => m.layer === one.layer && m.feature === one.feature)),
        ],
        columns,
      ),
    ],
    ["all features of these layers patched, from the image on", patched(all(layers), later)],
    ["all features of all layers patched, from the image on", patched(all(model.layers), later)],
  ];
  const rows: { intervention: string; generated: string }[] = [];
  for (const [intervention, edits] of arms) {
    const [{ text }] = await model.generate(batch, { edits, maxNewTokens: NEW_TOKENS });
    rows.push({ intervention, generated: text.trim() });
  }
  return rows;
}
