/**
 * What transcoders learn from: MLP inputs and outputs at the tokens of a checkpoint's own training
 * conversations.
 */
import type { Activations } from "../../../lib/circuits/index.js";
import type { Model } from "../../../lib/model/index.js";
import { type Random, seeded } from "../../../lib/random.js";
import type { Tensor } from "../../../lib/tensor.js";
import { pick } from "../common/buckets.js";
import type { Row, Source } from "../common/recipe.js";
import { trainingBatch } from "../common/rows.js";
import { isTranscript } from "../common/transcripts.js";

/** Steps whose tokens are captured at once and mixed. */
const STEPS_AT_ONCE = 16;
const ROWS_AT_ONCE = 16;

/** Source of tokens. */
export interface TokenSource {
  readonly model: Model;
  readonly sources: (random: Random) => Promise<readonly Source[]>;
  readonly images: boolean;
  readonly hookIn: string;
  readonly hookOut: string;
  readonly seed: number;
  /** Tokens of a step. */
  readonly stepTokens: number;
}

/** Tokens in random order, and of which kind each is: "image" for an image's soft tokens, else "text". */
export interface CapturedTokens extends Activations {
  readonly kinds: readonly ("text" | "image")[];
}

/** The activations of a step: equal seeds give equal steps, wherever one begins. */
export function activationsOf(from: TokenSource): (step: number) => Promise<Activations> {
  const { stepTokens } = from;
  let at = -1;
  let chunk: Activations | undefined;
  return async (step) => {
    const wanted = Math.floor(step / STEPS_AT_ONCE);
    if (wanted !== at) chunk = await captureTokens(from, wanted, STEPS_AT_ONCE * stepTokens);
    at = wanted;
    const first = (step % STEPS_AT_ONCE) * stepTokens;
    const part = ({ data, shape: [, width] }: Tensor): Tensor => ({
      data: data.subarray(first * width, (first + stepTokens) * width),
      shape: [stepTokens, width],
    });
    return { inputs: chunk!.inputs.map(part), outputs: chunk!.outputs.map(part) };
  };
}

/** @param part number of these tokens among all that the seed gives */
export async function captureTokens(
  from: TokenSource,
  part: number,
  tokens: number,
): Promise<CapturedTokens> {
  const { model, images, hookIn, hookOut, seed } = from;
  const random = seeded(seed * 1_000_003 + part * 101);
  const sources = await from.sources(random);
  const layers = Array.from({ length: model.config.num_hidden_layers }, (_, l) => l);
  const order = random.shuffle(Array.from({ length: tokens }, (_, i) => i));
  const width = model.config.hidden_size;
  const empty = (): Tensor[] =>
    layers.map(() => ({ data: new Float32Array(tokens * width), shape: [tokens, width] }));
  const [inputs, outputs] = [empty(), empty()];
  const kinds = new Array<"text" | "image">(tokens);
  for (let count = 0; count < tokens; ) {
    const { batch } = await trainingBatch(model, drawRows(sources, random, images));
    const { cache } = await model.run(batch, { capture: [`blocks.*.${hookIn}`, `blocks.*.${hookOut}`] });
    const places = batch.tokenPositions.flatMap((columns, row) => {
      const visual = new Set(batch.visual?.[row] ?? []);
      return columns.map((column) => ({ row, column, image: visual.has(column) }));
    });
    for (const { row, column, image } of places.slice(0, tokens - count)) {
      const to = order[count++];
      kinds[to] = image ? "image" : "text";
      for (const l of layers) {
        copyVector(cache.get(`blocks.${l}.${hookIn}`), row, column, inputs[l], to);
        copyVector(cache.get(`blocks.${l}.${hookOut}`), row, column, outputs[l], to);
      }
    }
  }
  return { inputs, outputs, kinds };
}

function drawRows(sources: readonly Source[], random: Random, images: boolean): Row[] {
  const rows: Row[] = [];
  while (rows.length < ROWS_AT_ONCE) {
    const row = pick(sources, random).draw();
    if (images || isTranscript(row) || row[0].images.length === 0) rows.push(row);
  }
  return rows;
}

function copyVector(from: Tensor, row: number, column: number, to: Tensor, at: number): void {
  const [, time, width] = from.shape;
  const start = (row * time + column) * width;
  to.data.set(from.data.subarray(start, start + width), at * width);
}
