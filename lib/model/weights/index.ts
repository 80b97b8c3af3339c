export { defaultCacheDir, float32Checkpoint } from "./cache.js";
export type { Checkpoint, WeightInfo } from "./checkpoint.js";
export { dequantise } from "./dequantise.js";
export type { ReadableDtype, WeightDtype } from "./dtypes.js";
export { savedName } from "./names.js";
export { openCheckpoint } from "./open.js";
export { readSafetensorsHeader, type SafetensorsEntry, type SafetensorsHeader } from "./safetensors.js";
export { openSafetensors, readSafetensors, type SafetensorsReader } from "./safetensors-file.js";
export {
  createSafetensors,
  type SafetensorsWriter,
  type TensorToWrite,
  writeSafetensors,
} from "./safetensors-writer.js";
export { hasTokenizer, loadTokenizer, type Tokenizer } from "./tokenizer.js";
