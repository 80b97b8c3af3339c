/** Reads folders of transcoders: circuit-tracer's layout, and Gemma Scope's and Gemma Scope 2's files. */
import { existsSync, readdirSync } from "node:fs";
import { extname, join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { openSafetensors, type SafetensorsReader } from "../../model/checkpoint/index.js";
import type { Model } from "../../model/index.js";
import { checkOptions, type OptionChecks, record } from "../../options.js";
import type { Tensor } from "../../tensor.js";
import { checkTranscoders } from "./check.js";
import { CONFIG_FILE, readConfig, type TranscoderConfig } from "./config.js";
import { transcoderFolder } from "./embedded.js";
import { createTranscoder, type TranscoderParts } from "./layer.js";
import { readNpz } from "./npz.js";
import { products } from "./products.js";
import { matrixIn, matrixOf, type RowMatrix, transposed } from "./rows.js";
import type { Activation, TranscoderSet } from "./types.js";

export interface ReadTranscodersOptions {
  /** Refuses transcoders that are not of this model. */
  readonly model?: Model;
}

const READ_OPTIONS: OptionChecks<ReadTranscodersOptions> = { model: record };

/**
 * Opens a folder of transcoders, or an embedded set by its name (`tiny-gemma3/text-images`): config.yaml
 * beside `layer_{i}.safetensors`, or beside `W_enc_{i}` and
 * `W_dec_{i}.safetensors` of a cross-layer one, or beside what the config lists. Rows of large matrices
 * stay in
 * their files until they are asked for; Gemma Scope's encoders, which lie transposed, are read whole.
 * `layers[i].activation` says what activation was taken.
 * @throws ModalscopeError when files are missing, damaged or of shapes that do not fit each other or the
 *   model, and for NaN and infinities where they are read: of large matrices when features are first encoded or written
 */
export function readTranscoders(nameOrPath: string, options: ReadTranscodersOptions = {}): TranscoderSet {
  checkOptions("readTranscoders", options, READ_OPTIONS);
  const folder = transcoderFolder(nameOrPath);
  const config = readConfig(folder);
  const open: SafetensorsReader[] = [];
  const file = (path: string): SafetensorsReader => {
    const reader = openSafetensors(path);
    open.push(reader);
    return reader;
  };
  const work = products();
  const close = (): void => {
    work.close();
    for (const one of open) one.close();
  };
  try {
    const paths = layerFiles(folder, config);
    const read = config.kind === "per-layer" ? perLayer : crossLayer;
    const layers = paths.map((path, layer) =>
      createTranscoder(read({ path, layer, count: paths.length, config, file }), work),
    );
    const { kind, model, checkpoint, hookIn, hookOut } = config;
    const set: TranscoderSet = {
      ...{ kind, model, hookIn, hookOut, layers, close },
      ...(checkpoint !== undefined && { checkpoint }),
    };
    const odd = layers.find((l) => l.width !== layers[0].width);
    if (odd)
      throw bad(paths[odd.layer], `its width is ${odd.width}, and that of layer 0 is ${layers[0].width}.`);
    if (options.model) checkTranscoders(set, options.model);
    return set;
  } catch (error) {
    close();
    throw error;
  }
}

/** Each layer's file, in order. */
function layerFiles(folder: string, { kind, files }: TranscoderConfig): string[] {
  if (files) return files.map((address) => listedFile(folder, address));
  const pattern = kind === "per-layer" ? /^layer_(\d+)\.safetensors$/ : /^W_enc_(\d+)\.safetensors$/;
  const found = readdirSync(folder).flatMap((name) => {
    const match = pattern.exec(name);
    return match ? [{ name, layer: Number(match[1]) }] : [];
  });
  const sorted = found.sort((a, b) => a.layer - b.layer);
  const wanted = kind === "per-layer" ? "layer_{i}.safetensors" : "W_enc_{i}.safetensors";
  if (sorted.length === 0)
    throw new ModalscopeError(`${folder} has no ${wanted}.`, `Its ${CONFIG_FILE} says ${kind}.`);
  const gap = sorted.findIndex(({ layer }, i) => layer !== i);
  if (gap >= 0) throw new ModalscopeError(`${folder} lacks layer ${gap}.`, `It has ${sorted.at(-1)!.name}.`);
  return sorted.map(({ name }) => join(folder, name));
}

/** A file of a config's list: beside the config, under its own path or that within its repository. */
function listedFile(folder: string, address: string): string {
  const hub = /^hf:\/\/[^/]+\/[^/]+\/([^?]+)/.exec(address);
  const path = join(folder, hub ? hub[1] : address);
  if (existsSync(path)) return path;
  throw new ModalscopeError(
    `${join(folder, CONFIG_FILE)} lists ${address}, which is not here.`,
    `It was looked for at ${path}.`,
    hub ? "Download it from the hub to that place." : "",
  );
}

interface LayerFile {
  readonly path: string;
  readonly layer: number;
  /** Layers of the set. */
  readonly count: number;
  readonly config: TranscoderConfig;
  file(path: string): SafetensorsReader;
}

/** Tensors under their names in one file. */
interface Source {
  readonly path: string;
  shapeOf(name: string): readonly number[] | undefined;
  whole(name: string): Tensor;
  matrix(name: string): RowMatrix;
}

function fileSource(path: string, file: SafetensorsReader): Source {
  const known = (name: string): void => {
    if (file.shapeOf(name) === undefined)
      throw bad(path, `it has no ${name}; it has ${file.names.slice(0, 8).join(", ")}.`);
  };
  return {
    path,
    shapeOf: (name) => file.shapeOf(name),
    whole(name) {
      known(name);
      return sound(path, name, file.read(name)!);
    },
    matrix(name) {
      known(name);
      return matrixIn(file, name, (data) => sound(path, name, { data }).data);
    },
  };
}

function npzSource(path: string): Source {
  const arrays = readNpz(path);
  const whole = (name: string): Tensor => {
    const found = arrays.get(name);
    if (found) return sound(path, name, found);
    throw bad(path, `it has no ${name}; it has ${[...arrays.keys()].slice(0, 8).join(", ")}.`);
  };
  return {
    path,
    shapeOf: (name) => arrays.get(name)?.shape,
    whole,
    matrix: (name) => matrixOf(whole(name).data, whole(name).shape.at(-1) ?? 1),
  };
}

/**
 * @throws ModalscopeError where a value is NaN or infinite: features would be silent, or write what is no number, and
 *   nothing would say so. An infinite threshold is how a feature is switched off.
 */
function sound<T extends Pick<Tensor, "data">>(path: string, name: string, values: T): T {
  const never = name.includes("threshold") ? [Number.NaN] : [Number.NaN, Infinity, -Infinity];
  const found = never.find((value) => values.data.includes(value));
  if (found !== undefined)
    throw bad(
      path,
      `its ${name} has values that are no finite numbers (${found}).`,
      "Copy or train it again.",
    );
  return values;
}

/** Names of one layer's tensors. */
interface Names {
  readonly encoder: string;
  readonly decoder: string;
  readonly encoderBias: string;
  readonly bias: string;
  readonly threshold: string;
  readonly skip: string;
}

const CIRCUIT_TRACER: Names = {
  encoder: "W_enc",
  decoder: "W_dec",
  encoderBias: "b_enc",
  bias: "b_dec",
  threshold: "activation_function.threshold",
  skip: "W_skip",
};
const GEMMA_SCOPE: Names = { ...CIRCUIT_TRACER, threshold: "threshold" };
const GEMMA_SCOPE_2: Names = {
  encoder: "w_enc",
  decoder: "w_dec",
  encoderBias: "b_enc",
  bias: "b_dec",
  threshold: "threshold",
  skip: "affine_skip_connection",
};

function perLayer(given: LayerFile): TranscoderParts {
  const { path, layer } = given;
  const npz = extname(path) === ".npz";
  const source = npz ? npzSource(path) : fileSource(path, given.file(path));
  const scope2 = source.shapeOf(GEMMA_SCOPE_2.encoder) !== undefined;
  const names = npz ? GEMMA_SCOPE : scope2 ? GEMMA_SCOPE_2 : CIRCUIT_TRACER;
  const swapped = npz || scope2;
  const encoder = encoderOf(source, names.encoder, swapped);
  const decoder = source.matrix(names.decoder);
  expect(source, names.decoder, [encoder.count, encoder.width]);
  return {
    ...common(given, source, { names, encoder, swapped }),
    targets: [layer],
    decoder,
    decoderRow: (feature) => feature,
  };
}

function crossLayer(given: LayerFile): TranscoderParts {
  const { path, layer, count } = given;
  const source = fileSource(path, given.file(path));
  const targets = Array.from({ length: count - layer }, (_, j) => layer + j);
  if (source.shapeOf(GEMMA_SCOPE_2.encoder) !== undefined) {
    const encoder = encoderOf(source, GEMMA_SCOPE_2.encoder, true);
    expect(source, GEMMA_SCOPE_2.decoder, [encoder.count, count, encoder.width]);
    return {
      ...common(given, source, { names: GEMMA_SCOPE_2, encoder, swapped: true }),
      targets,
      decoder: source.matrix(GEMMA_SCOPE_2.decoder),
      decoderRow: (feature, place) => feature * count + layer + place,
    };
  }
  const names = {
    encoder: `W_enc_${layer}`,
    decoder: `W_dec_${layer}`,
    encoderBias: `b_enc_${layer}`,
    bias: `b_dec_${layer}`,
    threshold: `threshold_${layer}`,
    skip: `W_skip_${layer}`,
  };
  const encoder = encoderOf(source, names.encoder, false);
  const decoderPath = path.replace(/W_enc_(\d+)\.safetensors$/, "W_dec_$1.safetensors");
  const decoders = fileSource(decoderPath, given.file(decoderPath));
  expect(decoders, names.decoder, [encoder.count, targets.length, encoder.width]);
  return {
    ...common(given, source, { names, encoder, swapped: true }),
    targets,
    decoder: decoders.matrix(names.decoder),
    decoderRow: (feature, place) => feature * targets.length + place,
  };
}

interface Layout {
  readonly names: Names;
  readonly encoder: RowMatrix;
  /** Whether the skip connection is stored as (in, out): x W, and not x Wᵀ. */
  readonly swapped: boolean;
}

type CommonParts = Omit<TranscoderParts, "targets" | "decoder" | "decoderRow">;

function common(
  { layer, config }: LayerFile,
  source: Source,
  { names, encoder, swapped }: Layout,
): CommonParts {
  const { count, width } = encoder;
  expect(source, names.encoderBias, [count]);
  expect(source, names.bias, [width]);
  const hasSkip = source.shapeOf(names.skip) !== undefined;
  if (hasSkip) expect(source, names.skip, [width, width]);
  const skip = hasSkip ? source.whole(names.skip).data : undefined;
  return {
    layer,
    hookIn: `blocks.${layer}.${config.hookIn}`,
    activation: activationOf(source, config, names.threshold, count),
    encoder,
    encoderBias: source.whole(names.encoderBias).data,
    bias: source.whole(names.bias).data,
    ...(skip && { skip: { data: swapped ? transposed(skip, width) : skip, shape: [width, width] } }),
  };
}

function encoderOf(source: Source, name: string, swapped: boolean): RowMatrix {
  const shape = source.shapeOf(name) ?? source.whole(name).shape;
  if (shape.length !== 2)
    throw bad(source.path, `its ${name} has the shape (${shape.join(", ")}), not a matrix's.`);
  if (!swapped) return source.matrix(name);
  const [width, features] = shape;
  return matrixOf(transposed(source.whole(name).data, features), width);
}

function activationOf(
  source: Source,
  { activation }: TranscoderConfig,
  threshold: string,
  features: number,
): Activation {
  const has = source.shapeOf(threshold) !== undefined;
  if (activation.kind === "topk") {
    if (activation.k > features)
      throw bad(source.path, `TopK keeps ${activation.k} of its features, and it has ${features}.`);
    return activation;
  }
  if (activation.kind === "relu" || !has) {
    if (activation.kind === "jumprelu")
      throw bad(source.path, `JumpReLU needs ${threshold}, which it does not have.`);
    if (has) throw bad(source.path, `it has ${threshold}, but the config says relu.`);
    return { kind: "relu" };
  }
  expect(source, threshold, [features]);
  return { kind: "jumprelu", threshold: source.whole(threshold).data };
}

function expect(source: Source, name: string, wanted: readonly number[]): void {
  const shape = source.shapeOf(name) ?? source.whole(name).shape;
  if (shape.length === wanted.length && shape.every((d, i) => d === wanted[i])) return;
  throw bad(
    source.path,
    `its ${name} has the shape (${shape.join(", ")}), and beside the other tensors it must be (${wanted.join(", ")}).`,
  );
}

function bad(path: string, reason: string, hint = ""): ModalscopeError {
  return new ModalscopeError(`${path} holds no sound transcoder:`, reason, hint);
}
