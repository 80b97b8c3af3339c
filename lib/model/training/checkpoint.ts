/** Weights before and after training. */
import { join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { makeFolder } from "../../folder.js";
import { seeded } from "../../random.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import { writeWhole } from "../../write-file.js";
import { canonicalName, type StoredFloat, savedName, writeFloats } from "../checkpoint/index.js";
import { familyOf, type TextConfig } from "../families/index.js";
import { trainingGraph } from "./graph.js";
import type { Weights } from "./trainer.js";

/**
 * Fresh weights as Hugging Face makes them: normal with `initializer_range`, gains 1 (those that are added to 1: 0),
 * biases 0; a vision-language model has its text model's range throughout.
 */
export function initialWeights(raw: Readonly<Record<string, unknown>>, seed: number): Weights {
  const family = familyOf(raw);
  const config = family.parse(raw);
  const random = seeded(seed);
  const text = (raw.text_config ?? raw) as Readonly<Record<string, unknown>>;
  const std = typeof text.initializer_range === "number" ? text.initializer_range : 0.02;
  const { weights } = trainingGraph(family, config, {}, () => false);
  const addedToOne = config.model_type.startsWith("gemma");
  const made: Weights = new Map();
  for (const [name, shape] of weights) {
    const data = new Float32Array(sizeOf(shape));
    const gain = /norm|\.ln_/.test(name) && name.endsWith("weight");
    if (shape.length > 1 || /class_embedding|newline/.test(name))
      for (let i = 0; i < data.length; i++) data[i] = std * random.normal();
    else if (gain) data.fill(addedToOne && !name.startsWith("vision_tower.") ? 0 : 1);
    made.set(name, { data, shape });
  }
  for (const [name, w] of idleWeights(config)) made.set(name, w);
  return made;
}

/** Weights that transformers saves though nothing reads them: the norm at the end of CLIP's tower. */
function idleWeights({ vision_config: vision }: TextConfig): [string, Tensor][] {
  if (vision?.model_type !== "clip_vision_model") return [];
  const shape = [vision.hidden_size];
  const ones = new Float32Array(vision.hidden_size).fill(1);
  return [
    ["vision_tower.post_layernorm.weight", { data: ones, shape }],
    ["vision_tower.post_layernorm.bias", { data: new Float32Array(vision.hidden_size), shape }],
  ];
}

/**
 * Writes config.json and model.safetensors as Hugging Face does, the weights in the type that the config's `dtype`
 * names: float32 (also where it names none) or bfloat16.
 * @param files the folder's other files by name, such as `tokenizer.json`
 * @throws ModalscopeError for another type, or when a file cannot be written
 */
export function saveCheckpoint(
  folder: string,
  raw: Readonly<Record<string, unknown>>,
  weights: ReadonlyMap<string, Tensor>,
  files: Readonly<Record<string, string>> = {},
): void {
  const dtype = storedType(raw.dtype ?? "float32");
  makeFolder(folder);
  for (const [name, text] of Object.entries(files)) writeWhole(join(folder, name), text);
  writeWhole(join(folder, "config.json"), `${JSON.stringify(raw, null, 2)}\n`);
  const vision = familyOf(raw).vision !== undefined;
  const stored = [...weights].map(([name, weight]) => [
    vision ? savedName(String(raw.model_type), name) : canonicalName(name),
    weight,
  ]);
  writeFloats(join(folder, "model.safetensors"), Object.fromEntries(stored), dtype, { format: "pt" });
}

function storedType(dtype: unknown): StoredFloat {
  if (dtype === "float32" || dtype === "bfloat16") return dtype;
  throw new ModalscopeError(
    `Weights cannot be saved as ${JSON.stringify(dtype)}.`,
    "",
    'Give "float32" or "bfloat16" as the config\'s dtype.',
  );
}
