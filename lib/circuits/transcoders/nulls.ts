/** Transcoders that know nothing of a model and look like some that do: what a score must be read beside. */
import { type Random, seeded } from "../../random.js";
import type { Tensor } from "../../tensor.js";
import { createTranscoder } from "./layer.js";
import { type Products, products } from "./products.js";
import { heldRows, type RowMatrix } from "./rows.js";
import type { Activation, Transcoder, TranscoderSet } from "./types.js";

/**
 * "random": each encoder and decoder row has a random direction and its length; thresholds become TopK with as many
 * active features. "shuffled": features read what they read and write what another one of their layer writes.
 */
export type NullKind = "random" | "shuffled";

/**
 * A null of a set, with its features, norms, sparsity and output biases.
 * @param inputs (tokens, width) of each layer: every feature's mean pre-activation on these stays as it is
 */
export async function nullTranscoders(
  set: TranscoderSet,
  kind: NullKind,
  inputs: readonly Tensor[],
  seed: number,
): Promise<TranscoderSet> {
  // The rows stay those of the set, which its owner closes.
  if (kind === "shuffled")
    return { ...set, layers: set.layers.map((own) => shuffled(own, seed)), close: () => {} };
  const work = products();
  const layers: Transcoder[] = [];
  for (const own of set.layers) layers.push(await randomised(own, inputs[own.layer], seed, work));
  return { ...set, layers, close: () => work.close() };
}

function shuffled(own: Transcoder, seed: number): Transcoder {
  const order = generator(seed, own.layer, "order").shuffle(
    Array.from({ length: own.features }, (_, f) => f),
  );
  return {
    ...own,
    decoderRows: (ids, target) =>
      own.decoderRows(
        Array.from(ids, (id) => order[id]),
        target,
      ),
  };
}

async function randomised(own: Transcoder, x: Tensor, seed: number, work: Products): Promise<Transcoder> {
  const { layer, width, features, hookIn, targets, bias, skip } = own;
  const encoder = matrix(features, width, (ids) =>
    redirected(own.encoderRows(ids), ids, (id) => generator(seed, layer, `encoder ${id}`)),
  );
  const decoder = matrix(features * targets.length, width, (rows) => {
    const out = new Float32Array(rows.length * width);
    for (const [place, target] of targets.entries()) {
      const at = rows.flatMap((row, i) => (Math.floor(row / features) === place ? [i] : []));
      const ids = at.map((i) => rows[i] % features);
      const vectors = redirected(own.decoderRows(ids, target), ids, (id) =>
        generator(seed, layer, `decoder ${id} ${target}`),
      );
      for (const [n, i] of at.entries()) out.set(vectors.subarray(n * width, (n + 1) * width), i * width);
    }
    return out;
  });
  return createTranscoder(
    {
      ...{ layer, hookIn, targets, bias, encoder, decoder },
      ...(skip && { skip }),
      activation: await asTopK(own, x),
      encoderBias: recentred(own, encoder, x),
      decoderRow: (feature, place) => place * features + feature,
    },
    work,
  );
}

const CHUNK = 1024;

/** b' = b + (w − w') · mean input. */
function recentred(own: Transcoder, encoder: RowMatrix, x: Tensor): Float32Array {
  const { features, width } = own;
  const mean = meanRow(x);
  const biases = new Float32Array(features);
  for (let first = 0; first < features; first += CHUNK) {
    const ids = Array.from({ length: Math.min(CHUNK, features - first) }, (_, i) => first + i);
    const [before, after] = [own.encoderRows(ids).data, encoder.rows(ids)];
    biases.set(own.encoderBias(ids), first);
    for (let i = 0; i < before.length; i++)
      biases[first + Math.floor(i / width)] += (before[i] - after[i]) * mean[i % width];
  }
  return biases;
}

function meanRow({ data, shape: [tokens, width] }: Tensor): Float64Array {
  const mean = new Float64Array(width);
  for (let i = 0; i < data.length; i++) mean[i % width] += data[i] / tokens;
  return mean;
}

async function asTopK(own: Transcoder, x: Tensor): Promise<Activation> {
  if (own.activation.kind === "topk") return own.activation;
  const { ids, tokens } = await own.encode(x);
  return { kind: "topk", k: Math.max(1, Math.round(ids.length / Math.max(1, tokens))), signed: false };
}

/** Rows of the lengths of `rows`, in random directions that a row's id decides. */
function redirected(
  { data, shape }: Tensor,
  ids: readonly number[],
  random: (id: number) => Random,
): Float32Array {
  const [, width] = shape;
  const out = new Float32Array(data.length);
  ids.forEach((id, i) => {
    const { normal } = random(id);
    let [length, wanted] = [0, 0];
    for (let j = i * width; j < (i + 1) * width; j++) {
      out[j] = normal();
      length += out[j] ** 2;
      wanted += data[j] ** 2;
    }
    const factor = Math.sqrt(wanted / length);
    for (let j = i * width; j < (i + 1) * width; j++) out[j] *= factor;
  });
  return out;
}

/** Rows that are drawn once where they may be held. */
function matrix(count: number, width: number, make: (ids: readonly number[]) => Float32Array): RowMatrix {
  return heldRows({
    count,
    width,
    rows: (ids) => make(Array.from(ids)),
    range: (first, end) => make(Array.from({ length: end - first }, (_, i) => first + i)),
  });
}

/** A generator for one thing of a layer: FNV-1a of its name. */
function generator(seed: number, layer: number, name: string): Random {
  let hash = 0x811c9dc5;
  for (const c of `${seed} ${layer} ${name}`) hash = Math.imul(hash ^ c.charCodeAt(0), 0x01000193);
  return seeded(hash);
}
