import { ModalscopeError } from "../../errors.js";
import type { Checkpoint } from "./checkpoint.js";
import { statOf } from "./files.js";
import { openFolder } from "./folder.js";
import { openGguf } from "./gguf/checkpoint.js";
import { oneFileOf } from "./not-a-checkpoint.js";

/**
 * Opens a checkpoint: a Hugging Face folder (config.json with model.safetensors, one file or sharded; float32,
 * float16 or bfloat16), or a GGUF file of architecture llama, qwen2 or gemma3. Headers are read and checked,
 * weights are not.
 *
 * ```ts
 * const checkpoint = openCheckpoint("models/qwen2.5-0.5b-q4_k_m.gguf");
 * checkpoint.weights.get("model.embed_tokens.weight")?.shape; // [151936, 896]
 * ```
 * @throws ModalscopeError when nothing is there, a file is damaged, a tensor is missing or comes twice, or the
 * architecture or a number type is not supported.
 */
export function openCheckpoint(path: string): Checkpoint {
  const stat = statOf(path);
  if (!stat) {
    throw new ModalscopeError(
      `There is no checkpoint at ${path}:`,
      "no such file or folder.",
      "Give the folder that holds config.json, or a .gguf file.",
    );
  }
  if (stat.isDirectory()) return openFolder(path);
  if (/\.(safetensors|json|bin)$/.test(path)) throw oneFileOf(path);
  return openGguf(path);
}
