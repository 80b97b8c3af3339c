/** Embeds a batch: its tokens, and the visual features of its images. */
import type { Tensor } from "../../tensor.js";
import { addTensors, type Batch, type BatchImage, type Pass, promptPass } from "../batch/index.js";
import { type Engine, floats, hookPoint, type ModelSpec, type RunContext } from "../engine/index.js";
import { runVision, scatterFeatures } from "../vision/index.js";

/** A pass over a whole batch, and the stream with which it starts. */
export interface Embedded {
  readonly pass: Pass;
  /** (batch, time, hidden_size) */
  readonly x: Tensor;
}

/**
 * Embeds a batch's tokens and encodes its images.
 * @param options a residual stream that is already known: images are then encoded only if a later block adds them
 */
export async function embedBatch(
  context: RunContext,
  batch: Batch,
  { startAtLayer, residual }: { readonly startAtLayer?: number; readonly residual?: Tensor } = {},
): Promise<Embedded> {
  const { engine } = context;
  const images = batch.images ?? [];
  const pass = batchPass(engine, batch);
  if (!runsVision(engine, batch, startAtLayer))
    return { pass, x: residual ?? embedTokens(context, batch.inputIds, pass) };
  const encoded = await runVision(context, images);
  const blank = (): Tensor => {
    const shape = [batch.size, batch.seqLength, engine.config.hidden_size];
    return { data: floats(engine, batch.size * batch.seqLength * engine.config.hidden_size), shape };
  };
  const added = new Map(
    [...encoded[0].injections.keys()].map((l) => {
      const vectors = encoded.map(({ injections }) => injections.get(l)!);
      return [l, scatterFeatures(images, vectors, blank())];
    }),
  );
  const withInjections = { ...pass, injections: added };
  if (residual) return { pass: withInjections, x: residual };
  const features = encoded.map((image) => image.features);
  const x = scatterFeatures(images, features, tokenEmbeddings(engine, batch.inputIds, pass));
  return { pass: withInjections, x: enterStream(context, x, pass) };
}

/** The pass over a whole batch, with the images whose tokens attend to each other in both directions. */
export function batchPass(engine: ModelSpec, batch: Batch): Pass {
  return { ...promptPass(batch), bidirectionalSpans: imageSpans(engine, batch, batch.images ?? []) };
}

/** True for a run that encodes images: not if it starts where they are in the stream already and no later block adds any. */
export function runsVision({ config }: Engine, { images = [] }: Batch, start?: number): boolean {
  if (images.length === 0 || start === undefined) return images.length > 0;
  return config.vision_config!.readouts.some(({ toLayer }) => toLayer !== undefined && toLayer >= start);
}

/** Embeddings of tokens without images, (batch, time, hidden_size), as they enter the first block. */
export function embedTokens(context: RunContext, ids: Int32Array, pass: Pass): Tensor {
  return enterStream(context, tokenEmbeddings(context.engine, ids, pass), pass);
}

/** Edits and captures the embeddings, and adds learned positions where the architecture has them. */
export function enterStream(context: RunContext, embedded: Tensor, pass: Pass): Tensor {
  const { engine } = context;
  const x = hookPoint(context, "hook_embed", embedded, pass);
  const { positions } = engine.family.names;
  if (positions === undefined) return x;
  const rows = floats(engine, x.data.length);
  rows.set(engine.checkpoint.readRows(positions, Array.from(pass.positionIds[0])));
  const learned = hookPoint(context, "hook_pos_embed", { data: rows, shape: x.shape }, pass);
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

/** An image token's id may lie beyond the vocabulary; its embedding is replaced by features anyway. */
function knownTokens({ config }: Engine, ids: Int32Array): number[] {
  return Array.from(ids, (id) =>
    id === config.vision_config?.image_token_id && id >= config.vocab_size ? 0 : id,
  );
}

/** (batch, time): runs of image tokens, counted from 1, in models that let these attend to each other in both directions. */
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
