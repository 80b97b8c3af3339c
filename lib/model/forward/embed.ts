/** How a batch enters the first block: the embeddings of its tokens, and what is seen in its pictures. */
import type { Tensor } from "../../tensor.js";
import type { Batch, BatchImage } from "../batch/batch.js";
import { type Pass, promptPass } from "../batch/pass.js";
import { type Engine, type Feeding, floats } from "../engine/engine.js";
import { atStream, type Company } from "../engine/run-piece.js";
import { placed, see } from "../vision/features.js";

/** A pass over a whole batch, and the stream with which it starts. */
export interface Entered {
  readonly pass: Pass;
  /** (batch, time, hidden_size) */
  readonly x: Tensor;
}

/**
 * Embeds a batch's tokens and looks at its pictures.
 * @param start where a stream that is already known goes in: pictures are looked at only if they are added later on
 */
export async function enter(
  engine: Engine,
  batch: Batch,
  company: Company,
  start?: { readonly layer: number; readonly x: Tensor },
): Promise<Entered> {
  const images = batch.images ?? [];
  const pass = batchPass(engine, batch);
  if (!looks(engine, batch, start?.layer))
    return { pass, x: start?.x ?? embedTokens(engine, batch.ids, pass, company) };
  const { features, injections } = await see(engine, images, company);
  const blank = (): Tensor => {
    const shape = [batch.size, batch.time, engine.config.hidden_size];
    return { data: floats(engine, batch.size * batch.time * engine.config.hidden_size), shape };
  };
  const added = new Map([...injections].map(([l, vectors]) => [l, placed(images, vectors, blank())]));
  const seeing = { ...pass, injections: added };
  if (start) return { pass: seeing, x: start.x };
  const x = placed(images, features, tokenVectors(engine, batch.ids, pass));
  return { pass: seeing, x: atStream(engine, "hook_embed", x, pass, company) };
}

/** The pass over a whole batch, with the pictures whose tokens all see each other. */
export function batchPass(engine: Feeding, batch: Batch): Pass {
  return { ...promptPass(batch), spans: spansOf(engine, batch, batch.images ?? []) };
}

/** Whether a run looks at pictures: not if it starts where they are in the stream and none is added later on. */
export function looks({ config }: Engine, { images = [] }: Batch, start?: number): boolean {
  if (images.length === 0 || start === undefined) return images.length > 0;
  return config.vision_config!.readouts.some(({ toLayer }) => toLayer !== undefined && toLayer >= start);
}

/** Embeddings of tokens without pictures, (batch, time, hidden_size), as they enter the first block. */
export function embedTokens(engine: Engine, ids: Int32Array, pass: Pass, company: Company): Tensor {
  return atStream(engine, "hook_embed", tokenVectors(engine, ids, pass), pass, company);
}

function tokenVectors(engine: Engine, ids: Int32Array, { size, time }: Pass): Tensor {
  const { family, config, checkpoint } = engine;
  const rows = checkpoint.readRows(family.names.embedding, knownTokens(engine, ids));
  const factor = family.embeddingScale(config);
  const data = floats(engine, rows.length);
  data.set(rows);
  if (factor !== 1) for (let i = 0; i < data.length; i++) data[i] *= factor;
  return { data, shape: [size, time, config.hidden_size] };
}

/** The token that stands for a picture may lie beyond the vocabulary; what is embedded there is replaced anyhow. */
function knownTokens({ config }: Engine, ids: Int32Array): number[] {
  return Array.from(ids, (id) =>
    id === config.vision_config?.image_token_id && id >= config.vocab_size ? 0 : id,
  );
}

/** (batch, time): runs of picture tokens, counted from 1, where the model lets these see each other in both directions. */
function spansOf({ family }: Feeding, batch: Batch, images: readonly BatchImage[]): Int32Array | undefined {
  if (!family.vision?.bidirectional || images.length === 0) return undefined;
  const spans = new Int32Array(batch.size * batch.time);
  let span = 0;
  let before = -2;
  for (const { row, columns } of images) {
    for (const column of columns) {
      const cell = row * batch.time + column;
      if (cell !== before + 1) span++;
      spans[cell] = span;
      before = cell;
    }
  }
  return spans;
}
