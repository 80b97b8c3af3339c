/** How a batch enters the first block: the embeddings of its tokens, and what is seen in its images. */
import type { Tensor } from "../../tensor.js";
import type { Batch, BatchImage } from "../batch/batch.js";
import { type Pass, promptPass } from "../batch/pass.js";
import { addTensors } from "../batch/slices.js";
import { type Engine, floats, type ModelSpec } from "../engine/engine.js";
import { hookPoint, type RunContext } from "../engine/run-piece.js";
import { runVision, scatterFeatures } from "../vision/features.js";

/** A pass over a whole batch, and the stream with which it starts. */
export interface Embedded {
  readonly pass: Pass;
  /** (batch, time, hidden_size) */
  readonly x: Tensor;
}

/**
 * Embeds a batch's tokens and looks at its images.
 * @param options a residual stream that is already known: images are then encoded only if a later block adds them
 */
export async function embedBatch(
  engine: Engine,
  batch: Batch,
  company: RunContext,
  { startAtLayer, residual }: { readonly startAtLayer?: number; readonly residual?: Tensor } = {},
): Promise<Embedded> {
  const images = batch.images ?? [];
  const pass = batchPass(engine, batch);
  if (!runsVision(engine, batch, startAtLayer))
    return { pass, x: residual ?? embedTokens(engine, batch.inputIds, pass, company) };
  const { features, injections } = await runVision(engine, images, company);
  const blank = (): Tensor => {
    const shape = [batch.size, batch.seqLength, engine.config.hidden_size];
    return { data: floats(engine, batch.size * batch.seqLength * engine.config.hidden_size), shape };
  };
  const added = new Map(
    [...injections].map(([l, vectors]) => [l, scatterFeatures(images, vectors, blank())]),
  );
  const seeing = { ...pass, injections: added };
  if (residual) return { pass: seeing, x: residual };
  const x = scatterFeatures(images, features, tokenEmbeddings(engine, batch.inputIds, pass));
  return { pass: seeing, x: enterStream(engine, x, pass, company) };
}

/** The pass over a whole batch, with the images whose tokens all see each other. */
export function batchPass(engine: ModelSpec, batch: Batch): Pass {
  return { ...promptPass(batch), bidirectionalSpans: imageSpans(engine, batch, batch.images ?? []) };
}

/** Whether a run looks at images: not if it starts where they are in the stream and none is added later on. */
export function runsVision({ config }: Engine, { images = [] }: Batch, start?: number): boolean {
  if (images.length === 0 || start === undefined) return images.length > 0;
  return config.vision_config!.readouts.some(({ toLayer }) => toLayer !== undefined && toLayer >= start);
}

/** Embeddings of tokens without images, (batch, time, hidden_size), as they enter the first block. */
export function embedTokens(engine: Engine, ids: Int32Array, pass: Pass, company: RunContext): Tensor {
  return enterStream(engine, tokenEmbeddings(engine, ids, pass), pass, company);
}

/** Edits and captures the embeddings, and adds learned positions where the architecture has them. */
export function enterStream(engine: Engine, embedded: Tensor, pass: Pass, company: RunContext): Tensor {
  const x = hookPoint(engine, "hook_embed", embedded, pass, company);
  const { positions } = engine.family.names;
  if (positions === undefined) return x;
  const rows = floats(engine, x.data.length);
  rows.set(engine.checkpoint.readRows(positions, Array.from(pass.positionIds[0])));
  const learned = hookPoint(engine, "hook_pos_embed", { data: rows, shape: x.shape }, pass, company);
  return addTensors(x, learned);
}

function tokenEmbeddings(engine: Engine, ids: Int32Array, { size, seqLength: time }: Pass): Tensor {
  const { family, config, checkpoint } = engine;
  const rows = checkpoint.readRows(family.names.embedding, knownTokens(engine, ids));
  const factor = family.embeddingScale(config);
  const data = floats(engine, rows.length);
  data.set(rows);
  if (factor !== 1) for (let i = 0; i < data.length; i++) data[i] *= factor;
  return { data, shape: [size, time, config.hidden_size] };
}

/** The token that stands for an image may lie beyond the vocabulary; what is embedded there is replaced anyhow. */
function knownTokens({ config }: Engine, ids: Int32Array): number[] {
  return Array.from(ids, (id) =>
    id === config.vision_config?.image_token_id && id >= config.vocab_size ? 0 : id,
  );
}

/** (batch, time): runs of image tokens, counted from 1, where the model lets these see each other in both directions. */
function imageSpans(
  { family }: ModelSpec,
  batch: Batch,
  images: readonly BatchImage[],
): Int32Array | undefined {
  if (!family.vision?.bidirectional || images.length === 0) return undefined;
  const spans = new Int32Array(batch.size * batch.seqLength);
  let span = 0;
  let before = -2;
  for (const { row, positions: columns } of images) {
    for (const column of columns) {
      const cell = row * batch.seqLength + column;
      if (cell !== before + 1) span++;
      spans[cell] = span;
      before = cell;
    }
  }
  return spans;
}
