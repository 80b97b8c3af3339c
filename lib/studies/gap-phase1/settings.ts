/** A run's settings: sizes, questions that fit the model, where results are kept, and what it will cost. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { formatBytes } from "../../bytes.js";
import { ModalscopeError } from "../../errors.js";
import type { Model } from "../../model/index.js";
import { checkOptions, integer, required, text } from "../../options.js";
import { type Table, table } from "../../plot/index.js";
import { encodePng, type TaskImage, type VisualTask } from "../../tasks/index.js";
import { loadStudy } from "../index.js";
import { type CostSettings, gapCost } from "./cost.js";
import { publishedQuestions, type QuestionSource, syntheticQuestions } from "./questions.js";
import { parseShare } from "./shares.js";
import { folderStore, noStore, type Store } from "./store.js";
import type { GapSizes } from "./study.js";
import { checkModel } from "./subject.js";

/** How many questions each experiment takes, from those of a grade that rates are counted over. */
export function gapSizes(samples: number): GapSizes {
  if (!(Number.isInteger(samples) && samples >= 4))
    throw new ModalscopeError(
      `${samples} questions of each grade are too few.`,
      "Nothing can be drawn with replacement, compared or averaged.",
      "Give a whole number from 4 on; rates take 50.",
    );
  return {
    samples,
    tracing: Math.min(40, samples),
    states: Math.min(32, 2 * samples),
    probes: 2 * samples,
    heldOut: Math.min(10, samples),
    gate: samples < 20 ? 12 : 24,
    firstLook: samples < 20 ? 2 : 6,
  };
}

/**
 * The questions of a run: a folder of published data sets, or drawn at the side that the model's image processor asks for.
 * @throws ModalscopeError for a model without images, and a folder without the data sets.
 * @param imageTokens scales each image to a square of so many visual tokens; 0 leaves them as they are.
 */
export async function questionsFor(
  model: Model,
  options: { readonly data: string; readonly imageTokens: number },
): Promise<QuestionSource> {
  checkOptions("questionsFor", options, {
    data: required(text, "a folder, or an empty string"),
    imageTokens: required(integer(0), "an integer from 0 on"),
  });
  const { data, imageTokens } = options;
  checkModel(model);
  const side = imageTokens > 0 ? squareSide(model, imageTokens) : undefined;
  if (data === "") {
    const { synthetic } = loadStudy<{ synthetic: { words: number; size: number } }>("gap-phase1");
    return syntheticQuestions({ words: synthetic.words, size: side ?? usualSide(model) ?? synthetic.size });
  }
  const source = await publishedQuestions(data);
  return side === undefined ? source : scaled(source, side);
}

interface Sizes {
  readonly size?: { readonly shortest_edge?: number; readonly height?: number };
}

/** Pixels of the smallest square that the image processor does not enlarge, or of the one that it makes of every image. */
function usualSide({ path }: Model): number | undefined {
  const file = join(path, "preprocessor_config.json");
  if (!existsSync(file)) return undefined;
  const { size } = JSON.parse(readFileSync(file, "utf8")) as Sizes;
  // Qwen's processors give an area, the others a side.
  const { shortest_edge: edge, height } = size ?? {};
  if (edge !== undefined) return edge > 2048 ? Math.round(Math.sqrt(edge)) : edge;
  return height;
}

function squareSide({ checkpoint }: Model, tokens: number): number {
  const vision = checkpoint.config.vision_config as
    | { patch_size?: number; spatial_merge_size?: number }
    | undefined;
  if (vision?.patch_size === undefined || vision.spatial_merge_size === undefined)
    throw new ModalscopeError(
      `imageTokens is ${tokens}, and this checkpoint (${checkpoint.modelType}) makes as many of every image.`,
      "",
      "Leave imageTokens at 0.",
    );
  return Math.max(1, Math.round(Math.sqrt(tokens))) * vision.patch_size * vision.spatial_merge_size;
}

/** The same questions, their images scaled to a square. */
function scaled(source: QuestionSource, side: number): QuestionSource {
  const squared = async (task: VisualTask): Promise<VisualTask> => ({
    ...task,
    images: await Promise.all(task.images.map((image) => squareImage(image, side))),
  });
  return {
    kindCounts: (kinds) => source.kindCounts(kinds),
    draw: async (request) =>
      Promise.all(
        (await source.draw(request)).map(async (sample) => ({ ...sample, task: await squared(sample.task) })),
      ),
    probes: async (seed, count) =>
      Promise.all(
        (await source.probes(seed, count)).map(async (own) => ({ ...own, task: await squared(own.task) })),
      ),
  };
}

async function squareImage(image: TaskImage, side: number): Promise<Uint8Array> {
  const source = typeof image === "string" || image instanceof Uint8Array ? image : encodePng(image);
  return new Uint8Array(await sharp(source).resize(side, side, { fit: "fill" }).png().toBuffer());
}

/**
 * Where a run's results are kept: a folder of its own for each setting; "" keeps nothing.
 * @param share of every sweep that the run measures, such as "3/8", or "all/8" to join the eight; "" for everything
 * @throws ModalscopeError for a text that is no share, and for a share that would not be kept
 */
export function gapStore(folder: string, settings: unknown, share = ""): Store {
  const own = parseShare(share);
  if (folder === "") {
    if (own === undefined) return noStore;
    throw new ModalscopeError(
      `The share ${share} would be lost.`,
      "Shares are joined from the folder in which all are kept.",
      "Give that folder as `save`.",
    );
  }
  const name = createHash("sha256").update(JSON.stringify(settings)).digest("hex").slice(0, 16);
  return folderStore(join(folder, `gap-phase1-${name}`), { share: own, settings: name });
}

/** Table of a run's cost, shown before it starts. */
export async function costTable(settings: CostSettings, seeds: readonly number[]): Promise<Table> {
  const cost = await gapCost(settings);
  const total = cost.seconds * seeds.length;
  const runs = Object.values(cost.forwards).reduce((sum, count) => sum + count, 0);
  const rows = [
    { what: "one question through all blocks", value: `${cost.secondsEach.toPrecision(2)} s` },
    { what: "such runs for one data seed", value: Math.round(runs).toLocaleString("en") },
    { what: `the model, ${seeds.length} data seed${seeds.length === 1 ? "" : "s"}`, value: duration(total) },
    { what: "random weights, other images, if asked for", value: `${duration(cost.seconds)} each, one seed` },
    { what: "weights read", value: formatBytes(cost.bytesRead * seeds.length) },
    { what: "kept on disk where save names a folder", value: formatBytes(cost.disk * seeds.length) },
  ];
  return table(rows, { caption: "What this run will cost, estimated from a few questions" });
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.ceil(seconds)} s`;
  return seconds < 7200 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
