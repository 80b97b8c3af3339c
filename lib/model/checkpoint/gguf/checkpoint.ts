import { ModalscopeError } from "../../../errors.js";
import { sizeOf } from "../../../tensor.js";
import type { Checkpoint } from "../checkpoint.js";
import { type OpenFile, openFile, readExactly } from "../files.js";
import { contentHash } from "../hash.js";
import { checkpointOf, readWeight, type StoredWeight } from "../store.js";
import { architectureOf, configOf, generationConfigOf } from "./config.js";
import { type GgufHeader, readGgufHeader } from "./header.js";
import { type Architecture, huggingFaceNames, inverseOf } from "./names.js";

/** Opens a GGUF file; see `openCheckpoint`. */
export function openGguf(path: string): Checkpoint {
  const file = openFile(path);
  try {
    const header = readGgufHeader(file, false);
    refuseParts(path, header);
    const architecture = architectureOf(path, header);
    const config = configOf(path, header, architecture, ropeFactors(file, header));
    const weights = weightsOf(file, header, architecture, config);
    const generationConfig = generationConfigOf(path, header);
    const hash = hashOf(file, header.headerEnd, weights);
    return checkpointOf({ path, format: "gguf", config, generationConfig, files: [file], weights }, hash);
  } catch (error) {
    file.close();
    throw error;
  }
}

/** A function of its own, so that the metadata are not kept for it. */
function hashOf(file: OpenFile, headerEnd: number, weights: ReadonlyMap<string, StoredWeight>): () => string {
  return () => {
    const header = new Uint8Array(headerEnd);
    readExactly(file, header, 0);
    return contentHash([], [{ file, header }], weights.values());
  };
}

function weightsOf(
  file: OpenFile,
  header: GgufHeader,
  architecture: Architecture,
  config: Record<string, unknown>,
): Map<string, StoredWeight> {
  const heads = { query: config.num_attention_heads as number, key: config.num_key_value_heads as number };
  const names = huggingFaceNames(file.path, architecture, header.tensors, config.num_hidden_layers as number);
  const weights = new Map<string, StoredWeight>();
  for (const [tensor, name] of names) {
    const inverse = inverseOf(architecture, tensor, heads);
    const entry = header.tensors.get(tensor)!;
    if (
      inverse?.kind === "unpermute" &&
      !(entry.shape[0] > 0 && entry.shape[0] % (2 * inverse.heads) === 0)
    ) {
      throw new ModalscopeError(
        `${file.path}: tensor "${tensor}" of shape (${entry.shape.join(", ")})`,
        `cannot be split into ${inverse.heads} heads with two halves.`,
        "Download or convert it again.",
      );
    }
    const whole = { name, ...entry, file: file.path, source: file, ...(inverse && { inverse }) };
    for (const weight of name.includes("*") ? byExpert(whole, config) : [whole])
      weights.set(weight.name, weight);
  }
  return weights;
}

/** Each expert's part of a tensor (experts, out, in), as a weight of its own. */
function byExpert(whole: StoredWeight, config: Record<string, unknown>): StoredWeight[] {
  const [count, ...shape] = whole.shape;
  if (count !== config.num_local_experts || shape.length !== 2) {
    throw new ModalscopeError(
      `${whole.file}: the tensor of ${whole.name} has the shape (${whole.shape.join(", ")}).`,
      `It should hold a matrix for each of ${config.num_local_experts} experts.`,
      "Download or convert it again.",
    );
  }
  const byteLength = whole.byteLength / count;
  return Array.from({ length: count }, (_, e) => ({
    ...whole,
    name: whole.name.replace("*", String(e)),
    shape,
    offset: whole.offset + e * byteLength,
    byteLength,
  }));
}

/** Llama 3's frequency factors: a tensor that is configuration. */
function ropeFactors(file: OpenFile, header: GgufHeader): Float32Array | undefined {
  const name = "rope_freqs.weight";
  const entry = header.tensors.get(name);
  if (!entry) return undefined;
  if (sizeOf(entry.shape) > 4096) {
    throw new ModalscopeError(`${file.path}: "${name}" is too large to hold one factor per frequency.`);
  }
  return readWeight({ name, ...entry, file: file.path, source: file });
}

/** Models split over several files have their parts numbered in the metadata. */
function refuseParts(path: string, header: GgufHeader): void {
  const parts = header.metadata.get("split.count");
  if (typeof parts === "number" && parts > 1) {
    throw new ModalscopeError(
      `${path} is one of ${parts} parts of a model,`,
      "and parts are not read one by one.",
      "Join them with llama.cpp's llama-gguf-split --merge.",
    );
  }
}
