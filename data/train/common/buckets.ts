/** Rows of training by step, those of like length together. */
import { type Random, seeded } from "../../../lib/random.js";
import type { Row, Source, Stage } from "./recipe.js";
import { isTranscript } from "./transcripts.js";

/** The batches of a bucket are drawn together and sorted by length, so that little is padding. */
const BUCKET = 8;

/**
 * The batches of a stage by step: equal seeds give equal batches, wherever one begins.
 * @param steps of the stage
 */
export function batchesOf(
  stage: Stage,
  seed: number,
  steps: number,
): (step: number) => Promise<readonly Row[]> {
  let at = -1;
  let bucket: Row[][] = [];
  return async (step) => {
    const wanted = Math.floor(step / BUCKET);
    if (wanted !== at) {
      at = wanted;
      const random = seeded(seed * 1_000_003 + wanted * 101 + stage.name.length);
      bucket = await drawBucket(stage, random, (wanted * BUCKET) / steps);
    }
    return bucket[step % BUCKET];
  };
}

async function drawBucket(stage: Stage, random: Random, progress: number): Promise<Row[][]> {
  const sources = await stage.sources(random, progress);
  const rows = Array.from({ length: stage.rows * BUCKET }, () => pick(sources, random).draw());
  rows.sort((a, b) => approximateLength(a) - approximateLength(b));
  const batches = Array.from({ length: BUCKET }, (_, i) => rows.slice(i * stage.rows, (i + 1) * stage.rows));
  return random.shuffle(batches);
}

/** One source, by their shares. */
export function pick(sources: readonly Source[], random: Random): Source {
  let left = random.uniform() * sources.reduce((sum, { share }) => sum + share, 0);
  for (const source of sources) {
    left -= source.share;
    if (left < 0) return source;
  }
  return sources[sources.length - 1];
}

/** Of an image, about as many as those of our checkpoints. */
const IMAGE_TOKENS = 40;

function approximateLength(row: Row): number {
  if (isTranscript(row)) return pieces(row.exchanges.map(({ prompt, reply }) => prompt + reply).join(""));
  const said = row.map(({ prompt, answers }) => `${prompt} ${answers[0]}`).join(" ");
  return IMAGE_TOKENS * row[0].images.length + pieces(`${row[0].textDescription ?? ""} ${said}`);
}

/** Words, numbers, marks, and Chinese by two characters. */
const pieces = (text: string): number => text.match(/[A-Za-z]+|\d+|[\u4e00-\u9fff]{1,2}|\S/g)?.length ?? 0;
